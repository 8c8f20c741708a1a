import { Folder, type Item } from './item.ts';

/** For how long a sent message cannot be found: for so many lookups, or milliseconds. */
export interface Delay {
  readonly lookups?: number;
  readonly ms?: number;
}

/**
 * Messages that were sent and are not in Sent Items yet: no longer a draft, and nowhere to be found (Microsoft Graph,
 * "Get immutable identifiers for Outlook resources", note on sending).
 */
export class DelayedMail {
  /** Where they are meanwhile; no client can name it. */
  readonly folder = new Folder('Transport', undefined, { isHidden: true });
  readonly #delayed = new Map<Item, { lookups: number; readonly until: number }>();
  readonly #now: () => number;
  readonly #arrive: (item: Item) => void;

  constructor(now: () => number, arrive: (item: Item) => void) {
    this.#now = now;
    this.#arrive = arrive;
  }

  delay(item: Item, { lookups = 0, ms = 0 }: Delay): void {
    this.#delayed.set(item, { lookups, until: this.#now() + ms });
  }

  /** Whether a message still cannot be found. Asking counts as a lookup. */
  isDelayed(item: Item): boolean {
    const delay = this.#delayed.get(item);
    if (!delay) return false;
    if (delay.lookups > 0 || this.#now() < delay.until) {
      delay.lookups = Math.max(0, delay.lookups - 1);
      return true;
    }
    this.#delayed.delete(item);
    this.#arrive(item);
    return false;
  }

  /** Moves what has arrived by now: somebody looks into Sent Items. */
  checkAll(): void {
    for (const item of [...this.#delayed.keys()]) this.isDelayed(item);
  }
}
