import type { Verification } from '../../api/account.ts';
import { Pill } from '../../parts/pill.tsx';
import { hintOf, type Side, stepNames } from './verification.ts';

type VerifiedSide = NonNullable<Verification['store']>;

const kinds = { ok: 'good', failed: 'bad', unknown: 'idle' } as const;
const words = { ok: 'works', failed: 'failed', unknown: 'not known' } as const;

const titles: Readonly<Record<Side | 'sentCopies', string>> = {
  store: 'Importing',
  transport: 'Sending',
  sentCopies: 'Copies of what was sent',
};

/** What a verification found, step by step, with what a person can do. */
export function VerifyResult({ found }: { readonly found: Verification }) {
  const { hint } = found;
  return (
    <div class="columns">
      {(['store', 'transport', 'sentCopies'] as const).map((side) => {
        const of = found[side];
        return of ? <SideResult key={side} title={titles[side]} of={of} /> : null;
      })}
      {hint && <p class="notice warn">{hint}</p>}
    </div>
  );
}

function SideResult({ title, of }: { readonly title: string; readonly of: VerifiedSide }) {
  return (
    <div>
      <p class="name">
        {title}: <Pill kind={kinds[of.status]}>{words[of.status]}</Pill>
      </p>
      <ol class="steps">
        {of.steps.map((step) => (
          <li key={step.step}>
            <Pill kind={kinds[step.status]}>{words[step.status]}</Pill> {stepNames[step.step]}
            {step.status !== 'unknown' && <span class="quiet"> {Math.round(step.ms)} ms</span>}
            {step.status === 'failed' && (
              <div>
                {hintOf(step)} {step.code && <code>{step.code}</code>}
              </div>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}
