import type { Draft } from '../../parts/draft.ts';
import { SelectField } from '../../parts/field.tsx';
import { More } from '../../parts/more.tsx';
import type { Side } from './verification.ts';

const clouds = [
  { value: 'global', name: 'Microsoft 365 of the world' },
  { value: 'usgov', name: 'US Government (GCC High)' },
  { value: 'dod', name: 'US Department of Defense' },
  { value: 'china', name: 'China (21Vianet)' },
] as const;

const modes = [
  { value: 'draft', name: 'as a draft first: an answer that is lost can be settled' },
  { value: 'direct', name: 'directly: the app needs the permission Mail.Send alone' },
] as const;

export interface GraphDetailsProps {
  readonly side: Side;
  readonly draft: Draft;
}

/** What few mailboxes of Microsoft Graph need. */
export function GraphDetails({ side, draft }: GraphDetailsProps) {
  const cloud = clouds.find(({ value }) => value === draft.text(`/${side}/cloud`))?.value ?? 'global';
  const mode = modes.find(({ value }) => value === draft.text(`/${side}/sendMode`))?.value ?? 'draft';
  const sends = side === 'transport';
  return (
    <More
      summary={sends ? 'Cloud, and how mail is handed over' : 'Cloud'}
      used={cloud !== 'global' || mode !== 'draft'}
      pointers={[`/${side}/cloud`, `/${side}/sendMode`]}
    >
      <SelectField
        label="Cloud"
        pointer={`/${side}/cloud`}
        value={cloud}
        options={clouds}
        onChange={(value) => draft.set(`/${side}/cloud`, value)}
      />
      {sends && (
        <SelectField
          label="Mail is handed over"
          pointer={`/${side}/sendMode`}
          value={mode}
          options={modes}
          onChange={(value) => draft.set(`/${side}/sendMode`, value)}
          hint="As a draft it needs Mail.ReadWrite as well."
        />
      )}
    </More>
  );
}
