/** Longest time a caller may ask to wait, in seconds: well under the 230 s after which Azure's front end gives up. */
export const maxWaitSeconds = 60;

/** One preference: a token, perhaps a value (token or quoted), perhaps parameters, which `wait` does not have. */
const preference =
  /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?\s*((?:;[^,"]*(?:"(?:[^"\\]|\\.)*"[^,"]*)*)?)\s*(?:,|$)/y;

/**
 * Seconds the caller asks to wait by `Prefer: wait=N` (RFC 7240 section 4.3), at most 60. Undefined without a usable
 * one: a preference that cannot be read is ignored (section 2). Several headers arrive joined by commas; the first
 * `wait` counts.
 */
export function waitSeconds(headers: { get(name: string): string | null }): number | undefined {
  const header = headers.get('prefer');
  if (header === null) return undefined;
  let at = 0;
  while (at < header.length) {
    preference.lastIndex = at;
    const match = preference.exec(header);
    if (match === null) {
      // Step over what is malformed, to the next comma.
      const comma = header.indexOf(',', at);
      if (comma < 0) return undefined;
      at = comma + 1;
      continue;
    }
    at = preference.lastIndex;
    if (match[1]?.toLowerCase() !== 'wait') continue;
    const value = (match[2] ?? '').replace(/^"(.*)"$/, '$1');
    if (!/^\d{1,10}$/.test(value)) return undefined;
    return Math.min(Number(value), maxWaitSeconds);
  }
  return undefined;
}

/** The header that tells the caller its wish was followed (RFC 7240 section 3). */
export function preferenceApplied(seconds: number): Readonly<Record<string, string>> {
  return { 'Preference-Applied': `wait=${seconds}` };
}
