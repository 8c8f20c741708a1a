/** Longest wait that is believed; beyond a day it is a mistake. */
const maxWaitMs = 86_400_000;

/**
 * Milliseconds that a `Retry-After` asks to wait: seconds or a date (RFC 9110 section 10.2.3). Undefined where there is
 * none, or it makes no sense.
 */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), maxWaitMs);
  // Only the forms of HTTP dates: Date.parse would make a year of many a number.
  const at = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), maxWaitMs);
}
