import type { EventSink } from '../events/events.ts';
import { type Clock, toIso } from '../platform/clock.ts';
import { log } from '../platform/log.ts';
import { RowConflict, type RowTable } from '../platform/rows.ts';

/** Which side of an account works or fails. */
export type AccountSide = 'transport' | 'store';

export interface AccountTrouble {
  readonly code?: string;
  readonly hint?: string;
}

/** An account's trouble as `status` shows it. */
export interface FailingSince {
  readonly side: AccountSide;
  readonly since: string;
  readonly code?: string;
  readonly hint?: string;
}

/** Trouble that was told and has not ended. */
export interface StandingTrouble {
  readonly account: string;
  readonly side: AccountSide;
  /** Unix milliseconds. */
  readonly since: number;
  readonly code?: string;
}

/** Remembers which accounts fail, so that each spell of failing is told once, and its end once. */
export interface AccountHealth {
  failing(account: string, side: AccountSide, trouble: AccountTrouble): Promise<void>;
  working(account: string, side: AccountSide): Promise<void>;
  current(account: string): Promise<readonly FailingSince[]>;
  /** These sides are no more: what is told of them ends without a word. */
  forget(account: string, sides: readonly AccountSide[]): Promise<void>;
  /** Of all accounts there are or were. */
  standing(options: { readonly signal: AbortSignal }): Promise<readonly StandingTrouble[]>;
}

const partition = 'health';
const sides: readonly AccountSide[] = ['transport', 'store'];

/** How long a process believes what it last knew of an account without asking storage again. */
const believeMs = 60_000;

export function accountHealth(rows: RowTable, events: EventSink, clock: Clock): AccountHealth {
  const known = new Map<string, { failing: boolean; at: number }>();
  const keyOf = (account: string, side: AccountSide) => `${account}:${side}`;

  async function tell(
    type: 'mailroom.account.failing' | 'mailroom.account.recovered',
    account: string,
    side: AccountSide,
    since: number,
    trouble: AccountTrouble,
  ) {
    await events.publish({
      type,
      account,
      subject: `${account}/${side}/${toIso(since)}`,
      time: type === 'mailroom.account.failing' ? since : clock.now(),
      data: { side, since: toIso(since), ...trouble },
    });
    // What alerts are made of: each spell of trouble and its end, as often as the event; what lasts is told again by
    // standing-trouble.ts.
    if (type === 'mailroom.account.failing') {
      log.warn('account.failing', { account, side, since: toIso(since), code: trouble.code });
    } else {
      log.info('account.recovered', { account, side, seconds: Math.round((clock.now() - since) / 1000) });
    }
  }

  return {
    async failing(account, side, trouble) {
      const key = keyOf(account, side);
      const now = clock.now();
      const believed = known.get(key);
      if (believed?.failing && now - believed.at < believeMs) {
        return;
      }
      const columns = { since: now, told: false, code: trouble.code, hint: trouble.hint };
      let since = now;
      try {
        await rows.write(partition, [{ kind: 'insert', key, columns }]);
      } catch (error) {
        if (!(error instanceof RowConflict)) {
          throw error;
        }
        const row = await rows.get(partition, key);
        since = typeof row?.columns.since === 'number' ? row.columns.since : now;
        if (row?.columns.told === true) {
          known.set(key, { failing: true, at: now });
          return;
        }
      }
      // Told before it is noted: at least once, under an id that stays the same.
      await tell('mailroom.account.failing', account, side, since, trouble);
      await rows.write(partition, [{ kind: 'merge', key, columns: { told: true } }]);
      known.set(key, { failing: true, at: now });
    },

    async working(account, side) {
      const key = keyOf(account, side);
      const now = clock.now();
      const believed = known.get(key);
      if (believed && !believed.failing && now - believed.at < believeMs) {
        return;
      }
      // Believed before storage is asked: a burst of deliveries asks once.
      known.set(key, { failing: false, at: now });
      const row = await rows.get(partition, key);
      if (row) {
        const since = typeof row.columns.since === 'number' ? row.columns.since : now;
        await tell('mailroom.account.recovered', account, side, since, {});
        await rows.write(partition, [{ kind: 'delete', key }]).catch((error) => {
          if (!(error instanceof RowConflict)) {
            throw error;
          }
        });
      }
    },

    async forget(account, gone) {
      for (const side of gone) {
        const key = keyOf(account, side);
        known.delete(key);
        await rows.write(partition, [{ kind: 'delete', key }]).catch((error) => {
          if (!(error instanceof RowConflict)) {
            throw error;
          }
        });
      }
    },

    async current(account) {
      const found: FailingSince[] = [];
      for (const side of sides) {
        const row = await rows.get(partition, keyOf(account, side));
        if (row) {
          found.push({
            side,
            since: toIso(typeof row.columns.since === 'number' ? row.columns.since : 0),
            ...(typeof row.columns.code === 'string' ? { code: row.columns.code } : {}),
            ...(typeof row.columns.hint === 'string' ? { hint: row.columns.hint } : {}),
          });
        }
      }
      return found;
    },

    async standing({ signal }) {
      const found: StandingTrouble[] = [];
      for await (const { key, columns } of rows.prefix(partition, '', { signal })) {
        const [account = '', side] = key.split(':');
        if ((side !== 'transport' && side !== 'store') || columns.told !== true) continue;
        if (typeof columns.since !== 'number') continue;
        const code = typeof columns.code === 'string' ? { code: columns.code } : {};
        found.push({ account, side, since: columns.since, ...code });
      }
      return found;
    },
  };
}
