import { Folder } from './folder.ts';
import type { Item } from './item.ts';

/** For how long a sent message cannot be found: for so many lookups, or milliseconds. */
export interface Delay {
  readonly lookups?: number;
  readonly ms?: number;
}

/**
 * Messages that were sent and are not in Sent Items yet: no longer a draft, and nowhere to be found (Microsoft Graph,
 * "Get immutable identifiers for Outlook resources", note on sending).
 */
export class Transit {
  /** Where they are meanwhile; no client can name it. */
  readonly folder = new Folder('Transport', undefined, { isHidden: true });
  readonly #away = new Map<Item, { lookups: number; readonly until: number }>();
  readonly #now: () => number;
  readonly #arrive: (item: Item) => void;

  constructor(now: () => number, arrive: (item: Item) => void) {
    this.#now = now;
    this.#arrive = arrive;
  }

  delay(item: Item, { lookups = 0, ms = 0 }: Delay): void {
    this.#away.set(item, { lookups, until: this.#now() + ms });
  }

  /** Whether a message still cannot be found. Asking counts as a lookup. */
  isAway(item: Item): boolean {
    const away = this.#away.get(item);
    if (!away) return false;
    if (away.lookups > 0 || this.#now() < away.until) {
      away.lookups = Math.max(0, away.lookups - 1);
      return true;
    }
    this.#away.delete(item);
    this.#arrive(item);
    return false;
  }

  /** Somebody looks into Sent Items. */
  look(): void {
    for (const item of [...this.#away.keys()]) this.isAway(item);
  }
}
