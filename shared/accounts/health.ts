import { z } from 'zod';
import type { EventSink } from '../events/events.ts';
import { type Clock, toIso } from '../platform/clock.ts';
import { defined } from '../platform/defined.ts';
import { log } from '../platform/log.ts';
import { LruMap } from '../platform/lru-map.ts';
import { ignoreConflict, type Row, RowConflict, type Rows, type RowWrite } from '../platform/rows.ts';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';
import { type AccountSide, accountSides, healthKey, healthKeyPrefix, healthPartition, parseHealthKey } from './keys.ts';

export { type AccountSide, accountSides } from './keys.ts';

/** The part of an account that a side belongs to: without the one there is no other. */
export function endpointOf(side: AccountSide): 'transport' | 'store' {
  return side === 'transport' ? 'transport' : 'store';
}

const troubleFields = { code: z.string().optional(), hint: z.string().optional() };

/** Why an account fails: a code, and what to do about it. */
export interface AccountTrouble {
  readonly code?: string;
  readonly hint?: string;
}

/** An account's trouble as `status` shows it. */
export const failingSinceSchema = z.object({ side: z.enum(accountSides), since: instantSchema, ...troubleFields });
export type FailingSince = View<typeof failingSinceSchema>;

/** Trouble of an account whose event was published, and that has not ended. */
export interface OngoingTrouble {
  readonly account: string;
  readonly side: AccountSide;
  /** Unix milliseconds. */
  readonly since: number;
  readonly code?: string;
}

/** How long a process believes what it last knew of an account without asking storage again. */
const believeMs = 60_000;

/** Sides of accounts that a process remembers at most. */
const maxRemembered = 10_000;

/**
 * Remembers which accounts fail. Each time that a side begins to fail, `mailroom.account.failing` is published once, and
 * `mailroom.account.recovered` when it works again; at least once, under an id that stays the same.
 */
export class AccountHealth {
  readonly #rows: Rows;
  readonly #events: EventSink;
  readonly #clock: Clock;
  readonly #known = new LruMap<string, { readonly failing: boolean; readonly at: number }>({ max: maxRemembered });

  constructor(rows: Rows, events: EventSink, clock: Clock) {
    this.#rows = rows;
    this.#events = events;
    this.#clock = clock;
  }

  /** The side failed. Publishes the event unless that was done since it began to fail. */
  async failing(account: string, side: AccountSide, trouble: AccountTrouble): Promise<void> {
    const key = healthKey(account, side);
    const now = this.#clock.now();
    if (this.#believed(key, now) === true) return;
    const row = await this.#rowOfFailing(key, now, trouble);
    if (row?.columns.published !== true) {
      const since = sinceOf(row) ?? now;
      // Published before that is noted: at least once, under an id that stays the same.
      await this.#publish({ type: 'mailroom.account.failing', account, side, since, time: since }, trouble);
      log.warn('account.failing', { account, side, since: toIso(since), code: trouble.code });
      // Where the side works again by now, there is no row any more.
      await this.#writeIfThere({ kind: 'merge', key, columns: { published: true } });
    }
    this.#known.set(key, { failing: true, at: now });
  }

  /**
   * The side worked. Answers whether it was failing until now; then publishes the event. `certain`: storage is asked, whatever
   * this process believes of a moment ago.
   */
  async working(account: string, side: AccountSide, { certain = false } = {}): Promise<boolean> {
    const key = healthKey(account, side);
    const now = this.#clock.now();
    if (!certain && this.#believed(key, now) === false) return false;
    // Believed before storage is asked: a burst of deliveries asks once.
    this.#known.set(key, { failing: false, at: now });
    const row = await this.#rows.get(healthPartition, key);
    if (!row) return false;
    const since = sinceOf(row) ?? now;
    await this.#publish({ type: 'mailroom.account.recovered', account, side, since, time: now }, {});
    log.info('account.recovered', { account, side, seconds: Math.round((now - since) / 1000) });
    await this.#writeIfThere({ kind: 'delete', key });
    return true;
  }

  /** What of an account fails now: one reading. Throws storage's trouble. */
  async current(account: string, options: { readonly signal: AbortSignal }): Promise<readonly FailingSince[]> {
    return (await this.#failingOf(healthKeyPrefix(account), options)).get(account) ?? [];
  }

  /** What of every account fails now, by their names: one reading for a thousand that fail. Throws storage's trouble. */
  async currentOfAll(options: { readonly signal: AbortSignal }): Promise<ReadonlyMap<string, readonly FailingSince[]>> {
    return await this.#failingOf('', options);
  }

  async #failingOf(prefix: string, { signal }: { readonly signal: AbortSignal }) {
    const found = new Map<string, FailingSince[]>();
    for await (const row of this.#rows.prefix(healthPartition, prefix, { signal })) {
      const parts = parseHealthKey(row.key);
      if (!parts) continue;
      const failing = found.get(parts.account) ?? [];
      failing.push({ side: parts.side, since: toIso(sinceOf(row) ?? 0), ...troubleOf(row) });
      found.set(parts.account, failing);
    }
    const order = ({ side }: FailingSince) => accountSides.indexOf(side);
    for (const failing of found.values()) failing.sort((a, b) => order(a) - order(b));
    return found;
  }

  /** The account does not have these sides any more: their trouble ends without an event. */
  async forget(account: string, sides: readonly AccountSide[]): Promise<void> {
    for (const side of sides) {
      const key = healthKey(account, side);
      this.#known.delete(key);
      await this.#writeIfThere({ kind: 'delete', key });
    }
  }

  /** Trouble of all accounts there are or were. */
  async ongoing({ signal }: { readonly signal: AbortSignal }): Promise<readonly OngoingTrouble[]> {
    const found: OngoingTrouble[] = [];
    for await (const row of this.#rows.prefix(healthPartition, '', { signal })) {
      const parts = parseHealthKey(row.key);
      const since = sinceOf(row);
      const { code } = troubleOf(row);
      if (parts && since !== undefined && row.columns.published === true)
        found.push({ ...parts, since, ...(code === undefined ? {} : { code }) });
    }
    return found;
  }

  /** What the process knew of a side a moment ago; undefined: storage must be asked. */
  #believed(key: string, now: number): boolean | undefined {
    const known = this.#known.get(key);
    return known && now - known.at < believeMs ? known.failing : undefined;
  }

  /** The row of a side that fails: one that is there; undefined: it was inserted now. */
  async #rowOfFailing(key: string, now: number, { code, hint }: AccountTrouble): Promise<Row | undefined> {
    try {
      await this.#rows.write(healthPartition, [
        { kind: 'insert', key, columns: { since: now, published: false, code, hint } },
      ]);
      return undefined;
    } catch (error) {
      if (!(error instanceof RowConflict)) throw error;
      return await this.#rows.get(healthPartition, key);
    }
  }

  /** Of the trouble, only what an event may say: a receipt's also has the server's words, which may name an address. */
  async #publish({ type, account, side, since, time }: HealthEvent, { code, hint }: AccountTrouble): Promise<void> {
    await this.#events.publish({
      type,
      account,
      subject: `${account}/${side}/${toIso(since)}`,
      time,
      data: { side, since: toIso(since), ...defined({ code, hint }) },
    });
  }

  async #writeIfThere(write: RowWrite): Promise<void> {
    await this.#rows.write(healthPartition, [write]).catch(ignoreConflict);
  }
}

interface HealthEvent {
  readonly type: 'mailroom.account.failing' | 'mailroom.account.recovered';
  readonly account: string;
  readonly side: AccountSide;
  readonly since: number;
  readonly time: number;
}

function sinceOf(row: Row | undefined): number | undefined {
  const since = row?.columns.since;
  return typeof since === 'number' ? since : undefined;
}

function troubleOf({ columns: { code, hint } }: Row): AccountTrouble {
  return { ...(typeof code === 'string' ? { code } : {}), ...(typeof hint === 'string' ? { hint } : {}) };
}
