import type { Endpoint } from '../accounts/destinations.ts';
import type { Account } from '../accounts/rules.ts';
import { type Clock, sleep } from '../platform/clock.ts';
import { LruMap } from '../platform/lru-map.ts';
import type { ConnectionSlots } from './connection-slots.ts';
import { connectionsKey, isMailbox, rateKey } from './keys.ts';
import { type LimitRows, limitRows } from './limit-rows.ts';
import { ProcessRate } from './process-rate.ts';
import { ProcessSlots } from './process-slots.ts';
import { everySecond, type Ticker } from './ticker.ts';

/** Limits remembered per process. One in use is never forgotten: its connections count. */
const remembered = { max: 1_000, mayEvict: ({ unused }: { readonly unused: boolean }) => unused };

/** Outlook takes four requests at a time from an app on a mailbox (Microsoft Learn, "Microsoft Graph throttling"). */
const graphConnections = 4;

/** How often `releaseAll` looks whether everything is released, in ms. */
const releasePollMs = 20;

/** Where limits are kept. */
export interface LimitTables {
  readonly limits: LimitRows['table'];
  /**
   * The table that imports work in: connections to mailboxes are counted there, so that an import takes and gives back its
   * connection in the transactions by which it takes and gives back the account's lease.
   */
  readonly inbox: LimitRows['table'];
}

/**
 * What `limits` of the accounts allow this process. Each limit is a row that all processes share, in a partition of its
 * account; see `ProcessSlots` and `ProcessRate`.
 */
export class AccountLimits {
  readonly #tables: LimitTables;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #slots = new LruMap<string, ProcessSlots>(remembered);
  readonly #rates = new LruMap<string, ProcessRate>(remembered);

  constructor(tables: LimitTables, clock: Clock, ticker: Ticker = everySecond) {
    this.#tables = tables;
    this.#clock = clock;
    this.#ticker = ticker;
  }

  /** `limits.connections` of the account for the server of one of its endpoints. */
  slots({ name, limits }: Pick<Account, 'name' | 'limits'>, endpoint: Endpoint): ConnectionSlots {
    const total = endpoint.protocol === 'graph' ? Math.min(limits.connections, graphConnections) : limits.connections;
    const key = connectionsKey(endpoint);
    const table = isMailbox(endpoint) ? this.#tables.inbox : this.#tables.limits;
    const slots = this.#slots.getOrCreate(
      `${name} ${key}`,
      () => new ProcessSlots(limitRows(table, name, this.#clock), key, total, this.#ticker),
    );
    slots.total = total;
    return slots;
  }

  /** `limits.perMinute` of the account; undefined where it has none. */
  rate({ name, limits: { perMinute } }: Pick<Account, 'name' | 'limits'>): ProcessRate | undefined {
    if (perMinute === null) return undefined;
    const rate = this.#rates.getOrCreate(
      name,
      () => new ProcessRate(limitRows(this.#tables.limits, name, this.#clock), rateKey, perMinute, this.#ticker),
    );
    rate.perMinute = perMinute;
    return rate;
  }

  /**
   * Releases everything that this process does not use, for its end. Connections must have been closed. Resolves when the
   * rows say so, or after `withinMs`: the leases lapse then.
   */
  async releaseAll(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    for (const rate of this.#rates.values()) rate.releaseSpare();
    const all = [...this.#slots.values(), ...this.#rates.values()];
    while (all.some(({ unused }) => !unused) && performance.now() < until) await sleep(releasePollMs);
  }
}
