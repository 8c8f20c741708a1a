const minuteMs = 60_000;

/**
 * How long a subscription is to live. Microsoft's page allows 10,080 minutes; 4,230 were the limit for long, and are
 * still reported. So long a standstill of the service loses none.
 */
export const lifetimeMs = 4_200 * minuteMs;

/** How often one is renewed, which also shows whether it is still there: within the hour after one has vanished. */
export const renewEveryMs = 45 * minuteMs;

/** A creation that nobody has heard of for this long is gone on with by others. */
export const attemptMs = 3 * minuteMs;

/** Graph may work on a creation for this long after its answer was lost: two addresses, 10 s each, and some more. */
export const undecidedMs = minuteMs;

/** A look that was queued, and is not made within this time, is queued again. */
export const lookMs = 5 * minuteMs;

/** How long a look after one account may take. */
export const tendingMs = 3 * minuteMs;

/** Before the next try after so many failures. */
const waits = [1, 2, 5, 10, 20, 30].map((minutes) => minutes * minuteMs);
const longestWaitMs = 50 * minuteMs;

/** When a failed call is tried again, in ms from now; `retryAfterMs`: what Graph asked for. */
export function retryWait(failures: number, retryAfterMs = 0): number {
  const wait = waits[Math.min(failures, waits.length) - 1] ?? minuteMs;
  return Math.min(longestWaitMs, Math.max(wait, retryAfterMs));
}
