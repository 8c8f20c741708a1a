import { listMembers } from './header-list.ts';

/** Longest time a caller may ask to wait, in seconds: well under the 230 s after which Azure's front end gives up. */
const maxWaitSeconds = 60;

/**
 * Seconds the caller asks to wait by `Prefer: wait=N` (RFC 7240 section 4.3), at most 60. Undefined without a usable
 * one: a preference that cannot be read is ignored (section 2). Several headers arrive joined by commas; the first
 * `wait` counts.
 */
export function waitSeconds(headers: { get(name: string): string | null }): number | undefined {
  const header = headers.get('prefer');
  if (header === null) return undefined;
  for (const preference of listMembers(header, { escapes: true }) ?? []) {
    // `wait` has a number, perhaps in quotes (section 2), and no parameters of its own.
    const [first = ''] = preference.split(';', 1);
    const equals = first.indexOf('=');
    if (first.slice(0, Math.max(0, equals)).trim().toLowerCase() !== 'wait') continue;
    const [, bare, quoted] = /^(?:(\d{1,10})|"(\d{1,10})")$/.exec(first.slice(equals + 1).trim()) ?? [];
    const seconds = bare ?? quoted;
    return seconds === undefined ? undefined : Math.min(Number(seconds), maxWaitSeconds);
  }
  return undefined;
}

/** The header by which the caller knows that its preference was applied (RFC 7240 section 3). */
export function preferenceApplied(seconds: number): Readonly<Record<string, string>> {
  return { 'Preference-Applied': `wait=${seconds}` };
}
