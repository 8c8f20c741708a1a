const minute = 60_000;

/** Waits before the second, third, ... attempt; then hourly (design section 4.6). */
const waits = [1 * minute, 5 * minute, 15 * minute, 60 * minute];

/** No attempt is made later than this after the first one. */
export const giveUpAfterMs = 48 * 60 * minute;

/**
 * When to try again after `attempts` attempts, or undefined when the 48 hours are over. A server that asked to wait is
 * heard: never earlier than it said.
 */
export function nextAttempt(
  attempts: number,
  firstAttemptAt: number,
  now: number,
  retryAfterMs: number | undefined,
): number | undefined {
  const wait = Math.max(waits[attempts - 1] ?? 60 * minute, retryAfterMs ?? 0);
  const at = now + wait;
  return at <= firstAttemptAt + giveUpAfterMs ? at : undefined;
}
