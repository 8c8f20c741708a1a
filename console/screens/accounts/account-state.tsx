import type { components } from '../../api/openapi.d.ts';
import { Pill } from '../../parts/pill.tsx';

type Status = components['schemas']['AccountStatus'];

const sides: Readonly<Record<Status['failing'][number]['side'], string>> = {
  transport: 'sending',
  store: 'importing',
  originals: 'what becomes of originals',
};

/** How an account is doing, in a word, and what a person can do where it does not. */
export function AccountState({ status }: { readonly status: Status }) {
  const { enabled, failing, secrets, quarantined, lastRun } = status;
  if (!enabled) return <Pill kind="idle">disabled</Pill>;
  const [trouble] = failing;
  if (trouble)
    return (
      <>
        <Pill kind="bad">{failing.map(({ side }) => sides[side]).join(' and ')} fails</Pill>
        <div class="quiet">{trouble.hint ?? trouble.code}</div>
      </>
    );
  const secret = secrets.find(({ state }) => state === 'missing' || state === 'ended');
  if (secret)
    return <Pill kind="bad">{`secret ${secret.name} ${secret.state === 'missing' ? 'is missing' : 'has ended'}`}</Pill>;
  if (lastRun?.status === 'failed') return <Pill kind="bad">last import failed</Pill>;
  if (secrets.some(({ state }) => state === 'ending')) return <Pill kind="warn">a secret ends soon</Pill>;
  if (quarantined > 0) return <Pill kind="warn">{`${quarantined} in quarantine`}</Pill>;
  return <Pill kind="good">works</Pill>;
}
