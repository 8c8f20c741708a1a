import type { Clock } from '../../platform/clock.ts';
import { errorText, log } from '../../platform/log.ts';
import { LruMap } from '../../platform/lru-map.ts';

/** Between two queue messages for one target: whatever is recorded meanwhile is found by the second. In ms. */
const apartMs = 1_000;

/** Longest pause of a target, in ms: another process may know that it is over. */
const longestPauseMs = 60_000;

/** Targets remembered; whoever is forgotten costs a queue message more. */
const maxTargets = 1_000;

interface Queued {
  /** When the last queue message was put that is seen at once. */
  readonly immediateAt: number;
  /** When the last queue message is seen. */
  readonly seenAt: number;
}

/**
 * Queue messages that start deliveries to a target. They carry nothing: what is to be delivered is in the table, and
 * the timer looks too. So few are put that thousands of events in a row cost a message a second.
 */
export class WakeUps {
  readonly #enqueue: (target: string, delayMs: number) => Promise<void>;
  readonly #clock: Clock;
  readonly #queued = new LruMap<string, Queued>({ max: maxTargets });
  readonly #pausedUntil = new LruMap<string, number>({ max: maxTargets });

  constructor(enqueue: (target: string, delayMs: number) => Promise<void>, clock: Clock) {
    this.#enqueue = enqueue;
    this.#clock = clock;
  }

  /** Nothing is sent to the target before `until` (ms since the epoch): no queue message is put for each event. */
  pause(target: string, until: number): void {
    this.#pausedUntil.set(target, Math.min(until, this.#clock.now() + longestPauseMs));
  }

  /** Ends the pause of a target. */
  resume(target: string): void {
    this.#pausedUntil.delete(target);
  }

  /**
   * Starts deliveries to the target at `at` (ms since the epoch) or when its pause is over, or up to a second later.
   * Never throws: the timer looks too.
   */
  async request(target: string, at = 0): Promise<void> {
    const now = this.#clock.now();
    const due = Math.max(at, now, this.#pausedUntil.get(target) ?? 0);
    const { immediateAt, seenAt } = this.#queued.get(target) ?? { immediateAt: 0, seenAt: 0 };
    // One that is seen now may have been taken already, before what is to be looked at was there.
    if (seenAt > now && seenAt >= due && seenAt <= due + apartMs) return;
    const isImmediate = due === now && Math.abs(now - immediateAt) >= apartMs;
    const delayMs = isImmediate ? 0 : Math.max(due - now, apartMs);
    this.#queued.set(target, { immediateAt: isImmediate ? now : immediateAt, seenAt: now + delayMs });
    try {
      await this.#enqueue(target, delayMs);
    } catch (error) {
      this.#queued.delete(target);
      log.warn('events.enqueueFailed', { error: errorText(error) });
    }
  }
}
