import type { ConnectionSlots } from '../../adapters/connection-slots.ts';
import type { Clock } from '../../platform/clock.ts';
import { digest } from '../../platform/ids.ts';
import type { RowTable } from '../../platform/rows.ts';
import type { Account } from '../rules.ts';
import { limitRows } from './limit-rows.ts';
import { ProcessRate } from './process-rate.ts';
import { ProcessSlots } from './process-slots.ts';
import { everySecond, type Ticker } from './ticker.ts';

/** Limits remembered per process; beyond it those go that are not in use, the one used longest ago first. */
const maxRemembered = 1_000;

/** Outlook takes four requests at a time from an app on a mailbox (Microsoft Learn, "Microsoft Graph throttling"). */
const graphConnections = 4;

type End = NonNullable<Account['transport'] | Account['store']>;

/**
 * The server that an end of an account speaks to, for the counting of connections. imap and imaps, or two ports of a
 * host, are one server, which counts them together; transport and store of an account are one where they speak the same
 * protocol to the same host. On Graph the mailbox is what has a limit.
 */
function serverOf(end: End): string {
  if (end.protocol === 'graph') return `graph:${end.userId.toLowerCase()}`;
  return `${end.protocol.replace(/s$/, '')}:${end.host.toLowerCase()}`;
}

/**
 * What `limits` of the accounts allow this process. Each limit is a row that all processes share, in a partition of its
 * account; see `ProcessSlots` and `ProcessRate`.
 */
export class AccountLimits {
  readonly #table: RowTable;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #slots = new Map<string, ProcessSlots>();
  readonly #rates = new Map<string, ProcessRate>();

  constructor(table: RowTable, clock: Clock, ticker: Ticker = everySecond) {
    this.#table = table;
    this.#clock = clock;
    this.#ticker = ticker;
  }

  /** `limits.connections` of the account for the server of one of its ends. */
  slots({ name, limits }: Pick<Account, 'name' | 'limits'>, end: End): ConnectionSlots {
    const total = end.protocol === 'graph' ? Math.min(limits.connections, graphConnections) : limits.connections;
    const key = `c:${digest(24, serverOf(end))}`;
    const slots = remembered(
      this.#slots,
      `${name} ${key}`,
      () => new ProcessSlots(limitRows(this.#table, name, this.#clock), key, total, this.#ticker),
    );
    slots.total = total;
    return slots;
  }

  /** `limits.perMinute` of the account; undefined where it has none. */
  rate({ name, limits: { perMinute } }: Pick<Account, 'name' | 'limits'>): ProcessRate | undefined {
    if (perMinute === null) return undefined;
    const rate = remembered(
      this.#rates,
      name,
      () => new ProcessRate(limitRows(this.#table, name, this.#clock), 'm', perMinute, this.#ticker),
    );
    rate.perMinute = perMinute;
    return rate;
  }
}

/** The one there is, as the one used last. One in use is never forgotten: its connections count. */
function remembered<T extends { readonly unused: boolean }>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key) ?? make();
  known.delete(key);
  if (known.size >= maxRemembered) {
    const idle = [...known].find(([, each]) => each.unused);
    if (idle) known.delete(idle[0]);
  }
  known.set(key, found);
  return found;
}
