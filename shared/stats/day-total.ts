import { toIso } from '../platform/clock.ts';
import type { Delays } from './delays.ts';

/** What is counted for each day: mails, and `bytes` of the imported ones. */
export const countNames = [
  'imported',
  'bytes',
  'quarantined',
  'accepted',
  'sent',
  'failed',
  'uncertain',
  'bounced',
] as const;
export type CountName = (typeof countNames)[number];

/** What one fact, or many, add to the counts of a day. */
export type Counts = Readonly<Partial<Record<CountName, number>>>;

/** `YYYY-MM-DD` in UTC of an instant in ms since the epoch. */
export function dayOf(at: number): string {
  return toIso(at).slice(0, 10);
}

/** The counts of one day, the delays between acceptance and sending of what was sent on it, and what was left. */
export class DayTotal {
  readonly #counts = new Map<CountName, number>();
  readonly #delays = new Map<number, number>();
  #backlog: number | undefined;

  /** Another total with the same counts. */
  copy(): DayTotal {
    return new DayTotal().add(this.counts, this.#delays);
  }

  add(counts: Counts, delays: Delays = new Map()): this {
    for (const name of countNames) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + (counts[name] ?? 0));
    }
    for (const [range, count] of delays) {
      this.#delays.set(range, (this.#delays.get(range) ?? 0) + count);
    }
    return this;
  }

  /** Every count; 0 where there was nothing. */
  get counts(): Readonly<Record<CountName, number>> {
    const count = (name: CountName) => this.#counts.get(name) ?? 0;
    return {
      imported: count('imported'),
      bytes: count('bytes'),
      quarantined: count('quarantined'),
      accepted: count('accepted'),
      sent: count('sent'),
      failed: count('failed'),
      uncertain: count('uncertain'),
      bounced: count('bounced'),
    };
  }

  get delays(): Delays {
    return this.#delays;
  }

  /** Adds what was left in a mailbox; undefined: it is not known. */
  leave(backlog: number | undefined): this {
    if (backlog !== undefined) this.#backlog = (this.#backlog ?? 0) + backlog;
    return this;
  }

  /** Mail that was left; undefined where nobody looked. */
  get backlog(): number | undefined {
    return this.#backlog;
  }
}

/** Totals by day. */
export type DayTotals = Map<string, DayTotal>;

/** The total of a day, made where there is none yet. */
export function totalOf(totals: DayTotals, day: string): DayTotal {
  const there = totals.get(day);
  if (there) return there;
  const made = new DayTotal();
  totals.set(day, made);
  return made;
}
