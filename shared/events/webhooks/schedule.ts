const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Waits before the second, third, ... attempt (design section 6). */
const waits = [
  5 * second,
  minute,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** All waits together: an event that is older than this and still fails is given up, however often it was tried. */
export const giveUpAfterMs = waits.reduce((sum, wait) => sum + wait, 0);

/** A server that asks for more patience than this is asked again all the same. */
const maxRetryAfterMs = 24 * hour;

/** How long an event waits after so many failed attempts, in ms; undefined: it is given up. Never sooner than was asked for. */
export function nextWait(attempts: number, retryAfterMs: number | undefined): number | undefined {
  const wait = waits[attempts - 1];
  return wait === undefined ? undefined : Math.max(wait, retryAfterMs ?? 0);
}

/** A Retry-After header (RFC 9110 section 10.2.3) in ms from `now`, at most 24 h; undefined for one that cannot be read. */
export function readRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.length > 100) return undefined;
  const text = header.trim();
  const ms = /^\d{1,12}$/.test(text)
    ? Number(text) * second
    : /[A-Za-z]/.test(text)
      ? Date.parse(text) - now
      : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), maxRetryAfterMs);
}
