import type { Clock } from '../../platform/clock.ts';

/** How long a server's number is believed: it may have been that of a busy hour. */
const believeMs = 3_600_000;

/** How many recipients a server takes in one mail, learnt from its refusals (RFC 5321 section 4.5.3.1.10). */
export class RecipientLimit {
  readonly #clock: Clock;
  #limit = Number.POSITIVE_INFINITY;
  #until = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Recipients of the next mail at most. */
  get current(): number {
    return this.#clock.now() < this.#until ? this.#limit : Number.POSITIVE_INFINITY;
  }

  /** The server took so many and no more. */
  learn(taken: number): void {
    this.#limit = Math.max(1, taken);
    this.#until = this.#clock.now() + believeMs;
  }
}
