import type { Clock } from '../platform/clock.ts';

/** The soonest that a mail which is put back comes again, and the latest: nobody can foresee more. */
const soonestMs = 1_000;
const latestMs = 5 * 60_000;

/** Accounts remembered; those whose line is over are forgotten first. */
const maxAccounts = 1_000;

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

  /** The time (ms since the epoch) for the account's next mail: not before `waitMs`, and `paceMs` after the one before. */
  next(account: string, waitMs: number, paceMs: number): number {
    const now = this.#clock.now();
    const soonest = now + Math.max(soonestMs, waitMs);
    let at = Math.max(soonest, (this.#ends.get(account) ?? 0) + paceMs);
    // So long a line is not kept in order.
    if (at > now + latestMs) at = Math.max(soonest, now + latestMs * (0.5 + Math.random() / 2));
    else this.#ends.set(account, at);
    if (this.#ends.size > maxAccounts) this.#forget(now);
    return at;
  }

  #forget(now: number): void {
    for (const [account, end] of this.#ends) if (end <= now) this.#ends.delete(account);
    const eldest = this.#ends.keys().next();
    if (this.#ends.size > maxAccounts && !eldest.done) this.#ends.delete(eldest.value);
  }
}
