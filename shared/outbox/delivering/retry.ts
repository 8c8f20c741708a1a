const minute = 60_000;

/** Waits (ms) before the second, third, ... attempt; the last one goes on (design section 4.6). Setting RETRY_MINUTES. */
export type RetryWaits = readonly [number, ...number[]];

/** The waits unless a setting says otherwise: 1, 5, 15 and 60 minutes, then hourly. */
export const usualWaits: RetryWaits = [1 * minute, 5 * minute, 15 * minute, 60 * minute];

/** No attempt is made later than this after the first one. */
export const giveUpAfterMs = 48 * 60 * minute;

/** What decides when a mail is tried again. */
export interface Tried {
  /** Attempts made, of those within the 48 hours. */
  readonly attempts: number;
  /** In ms since the epoch. */
  readonly firstAttemptAt: number;
  /** The server asked to wait so long: never earlier than it said. */
  readonly retryAfterMs: number | undefined;
}

/** When to try again (ms since the epoch), or undefined when the 48 hours are over. */
export function nextAttempt(tried: Tried, now: number, waits: RetryWaits): number | undefined {
  const { attempts, firstAttemptAt, retryAfterMs } = tried;
  const wait = waits[Math.min(attempts, waits.length) - 1] ?? waits[0];
  const at = now + Math.max(wait, retryAfterMs ?? 0);
  return at <= firstAttemptAt + giveUpAfterMs ? at : undefined;
}
