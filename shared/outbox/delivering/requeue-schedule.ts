import type { Clock } from '../../platform/clock.ts';
import { LruMap } from '../../platform/lru-map.ts';

/** The soonest that a requeued mail comes again, and the latest: nobody can foresee more. In ms. */
const soonestMs = 1_000;
const latestMs = 5 * 60_000;

/** Accounts and reasons remembered. */
const maxRemembered = 1_000;

/**
 * When requeued mail comes again. Where an account has thousands of them, each gets a time of its own, as far from the
 * one before as the account can send: they do not all come back at once only to be requeued again.
 */
export class RequeueSchedule {
  readonly #clock: Clock;
  readonly #ends = new LruMap<string, number>({ max: maxRemembered });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The time (ms since the epoch) for the next mail of an account: not before `waitMs`, and `paceMs` after the one before
   * that waits for the same.
   */
  next(
    account: string,
    waitsFor: 'perMinute' | 'connections' | 'copyConnections' | 'workers',
    waitMs: number,
    paceMs: number,
  ): number {
    const key = `${account} ${waitsFor}`;
    const now = this.#clock.now();
    const soonest = now + Math.max(soonestMs, waitMs);
    let at = Math.max(soonest, (this.#ends.get(key) ?? 0) + paceMs);
    // So far ahead, no order is kept.
    if (at > now + latestMs) at = Math.max(soonest, now + latestMs * (0.5 + Math.random() / 2));
    else this.#ends.set(key, at);
    return at;
  }
}
