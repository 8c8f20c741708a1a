import type { Clock } from '../platform/clock.ts';

/** The soonest that a mail which is put back comes again, and the latest: nobody can foresee more. */
const soonestMs = 1_000;
const latestMs = 5 * 60_000;

/** Lines remembered; those that are over are forgotten first. */
const maxLines = 1_000;

/**
 * When mail that is put back comes again. Where an account has thousands of them, each gets a time of its own, as far
 * from the one before as the account can send: they do not all come back at once only to be put back again.
 */
export class WaitingLine {
  readonly #clock: Clock;
  readonly #ends = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The time (ms since the epoch) for the next mail of an account: not before `waitMs`, and `paceMs` after the one before
   * that waits for the same.
   */
  next(account: string, waitsFor: 'perMinute' | 'connections' | 'workers', waitMs: number, paceMs: number): number {
    const line = `${account} ${waitsFor}`;
    const now = this.#clock.now();
    const soonest = now + Math.max(soonestMs, waitMs);
    let at = Math.max(soonest, (this.#ends.get(line) ?? 0) + paceMs);
    // So long a line is not kept in order.
    if (at > now + latestMs) at = Math.max(soonest, now + latestMs * (0.5 + Math.random() / 2));
    else this.#ends.set(line, at);
    if (this.#ends.size > maxLines) this.#forget(now);
    return at;
  }

  #forget(now: number): void {
    for (const [line, end] of this.#ends) if (end <= now) this.#ends.delete(line);
    const eldest = this.#ends.keys().next();
    if (this.#ends.size > maxLines && !eldest.done) this.#ends.delete(eldest.value);
  }
}
