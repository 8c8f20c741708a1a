import type { components } from '../../api/openapi.d.ts';
import { Pill } from '../../parts/pill.tsx';

export type AssetSummary = components['schemas']['AssetSummary'];
export type Asset = components['schemas']['Asset'];
type Address = Asset['from'][number];

/** `Jane Doe <jane@example.org>`, as the mail says: nobody has checked that it is from there. */
export function addressText({ name, address }: Address): string {
  return name === '' ? address : `${name} <${address}>`;
}

/** Several addresses in a line; a dash where there are none. */
export function addressesText(addresses: readonly Address[]): string {
  return addresses.length === 0 ? '–' : addresses.map(addressText).join(', ');
}

/** A subject to show; one that is missing or blank is said to be. */
export const subjectText = (subject: string | null): string => (subject?.trim() ? subject : '(no subject)');

const flags: Readonly<Record<keyof Asset['flags'], string>> = {
  bounce: 'bounce',
  autoSubmitted: 'automatic',
  list: 'mailing list',
  calendar: 'calendar',
  encrypted: 'encrypted',
  signed: 'signed, not checked',
  oversize: 'too large: headers only',
};

/** What kind of mail it is, in words. */
export function Flags({ asset }: { readonly asset: Pick<Asset, 'flags' | 'defects'> }) {
  const set = Object.entries(flags).filter(([flag]) => asset.flags[flag as keyof Asset['flags']]);
  return (
    <>
      {set.map(([flag, name]) => (
        <>
          <Pill key={flag} kind={flag === 'bounce' || flag === 'oversize' ? 'warn' : 'idle'}>
            {name}
          </Pill>{' '}
        </>
      ))}
    </>
  );
}
