import type { Clock } from '../../platform/clock.ts';
import { log } from '../../platform/log.ts';

const onceInMs = 60_000;

/** Counts notifications that are not Graph's. Anybody may send any number of them: the log gets one line a minute. */
export class Refusals {
  readonly #clock: Clock;
  #count = 0;
  #toldAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(count: number): void {
    this.#count += count;
    const now = this.#clock.now();
    if (this.#toldAt !== undefined && Math.abs(now - this.#toldAt) < onceInMs) return;
    this.#toldAt = now;
    log.warn('push.refused', { notifications: this.#count });
    this.#count = 0;
  }
}
