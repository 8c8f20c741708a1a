import { describe, expect, it, vi } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { type Account, resolveAccount } from '../accounts/rules.ts';
import { isAcquired } from '../platform/acquired.ts';
import { AccountLimits } from './account-limits.ts';
import type { ConnectionSlot, ConnectionSlots } from './connection-slots.ts';

const never = new AbortController().signal;
const auth = { type: 'password', user: 'u', secret: 'corpus-s' } as const;
const credential = { type: 'managedIdentity' } as const;

type Fields = Readonly<Record<string, unknown>>;

/** An account that fetches by `store`; `limits`: its own. */
function account(store: Fields, limits: Fields = {}, name = 'corpus'): Account {
  const secret = `${name}-s`;
  const given = store.protocol === 'graph' ? { credential, ...store } : { auth: { ...auth, secret }, ...store };
  return resolveAccount(name, { from: 'a@example.com', store: given, limits }).account;
}

const imap = { protocol: 'imap', host: 'mail.example.com' };
const graph = { protocol: 'graph', userId: 'corpus@example.com' };

/** Processes whose limits are in the same rows. Their ticks come with `pass`. */
function processes(count = 1) {
  const rows = new MemoryRows();
  const ticks: (() => void)[] = [];
  const ticker = (tick: () => void) => {
    ticks.push(tick);
    return () => undefined;
  };
  let now = 1_000_000;
  return {
    rows,
    limits: Array.from(
      { length: count },
      () => new AccountLimits({ limits: rows, inbox: rows }, { now: () => now }, ticker),
    ),
    /** Lets so much time pass, in ms, and then a tick. */
    pass: async (ms: number) => {
      now += ms;
      for (const tick of ticks) tick();
      await new Promise(setImmediate);
    },
  };
}

const slotsOf = (limits: AccountLimits, of: Account): ConnectionSlots => {
  if (!of.store) throw new Error('no store');
  return limits.slots(of, of.store);
};

/** Those it got of so many. */
async function take(slots: ConnectionSlots, wanted: number): Promise<readonly ConnectionSlot[]> {
  const got = await Promise.all(Array.from({ length: wanted }, () => slots.acquire(never)));
  return got.filter((slot) => isAcquired(slot)) as ConnectionSlot[];
}

describe('connections are counted together', () => {
  it.each<[string, Fields, boolean]>([
    ['on the same host', imap, true],
    ['on the same host in other letters', { ...imap, host: 'MAIL.example.com' }, true],
    ['on another port', { ...imap, port: 1143 }, true],
    ['with TLS from the start', { ...imap, protocol: 'imaps' }, true],
    ['of another user', { ...imap, auth: { ...auth, user: 'another' } }, true],
    ['on another host', { ...imap, host: 'imap.example.com' }, false],
    ['by another protocol', { ...imap, protocol: 'pop3' }, false],
    ['on Graph', graph, false],
  ])('%s', async (_, other, together) => {
    const [one] = processes().limits as [AccountLimits];
    expect(await take(slotsOf(one, account(imap)), 5)).toHaveLength(5);
    const got = await take(slotsOf(one, account(other)), 1);
    expect(got).toHaveLength(together ? 0 : 1);
  });

  it('of a mailbox on Graph, in whichever letters its name is', async () => {
    const [one] = processes().limits as [AccountLimits];
    expect(await take(slotsOf(one, account(graph)), 5)).toHaveLength(4);
    expect(await take(slotsOf(one, account({ ...graph, userId: 'Corpus@Example.com' })), 1)).toEqual([]);
    expect(await take(slotsOf(one, account({ ...graph, userId: 'other@example.com' })), 1)).toHaveLength(1);
  });

  it('in each account for itself, and over processes', async () => {
    const [one, another] = processes(2).limits as [AccountLimits, AccountLimits];
    expect(await take(slotsOf(one, account(imap)), 3)).toHaveLength(3);
    expect(await take(slotsOf(another, account(imap)), 5)).toHaveLength(2);
    expect(await take(slotsOf(another, account(imap, {}, 'second')), 6)).toHaveLength(5);
  });
});

describe('the limit of an account', () => {
  it.each<[string, Fields, Fields, number]>([
    ['is five connections', imap, {}, 5],
    ['may be fewer', imap, { connections: 2 }, 2],
    ['may be more', imap, { connections: 7 }, 7],
    ['is four on Graph, which takes no more', graph, { connections: 7 }, 4],
    ['may be fewer on Graph', graph, { connections: 2 }, 2],
  ])('%s', async (_, store, limits, most) => {
    const [one] = processes().limits as [AccountLimits];
    expect(await take(slotsOf(one, account(store, limits)), 9)).toHaveLength(most);
  });

  it('holds as the account says now', async () => {
    const { limits, pass } = processes();
    const [one] = limits as [AccountLimits];
    const first = slotsOf(one, account(imap, { connections: 1 }));
    expect(await take(first, 3)).toHaveLength(1);
    const raised = slotsOf(one, account(imap, { connections: 3 }));
    expect(raised).toBe(first);
    // A refusal is believed for a moment.
    await pass(5_000);
    expect(await take(first, 5)).toHaveLength(2);
  });

  it('of mails a minute is none, or one for all of the account', async () => {
    const [one] = processes().limits as [AccountLimits];
    expect(one.rate(account(imap))).toBeUndefined();
    const rate = one.rate(account(imap, { perMinute: 2 }));
    expect(rate).toBeDefined();
    expect(one.rate(account(imap, { perMinute: 2 }))).toBe(rate);
    const tokens = await Promise.all([1, 2, 3].map(() => rate?.acquire(never)));
    expect(tokens.filter((token) => token && !('retryAfterMs' in token))).toHaveLength(2);
    expect(one.rate(account(imap, {}, 'second'))).toBeUndefined();
  });
});

describe('rows of limits', () => {
  it.each([
    { of: 'a mailbox by IMAP', store: imap, prefix: 'k:', table: 'inbox' },
    { of: 'a mailbox by POP3', store: { ...imap, protocol: 'pop3s' }, prefix: 'k:', table: 'inbox' },
    { of: 'a mailbox on Graph', store: graph, prefix: 'k:', table: 'inbox' },
    { of: 'an SMTP server', store: { ...imap, protocol: 'smtp' }, prefix: 'c:', table: 'limits' },
    {
      of: 'an SMTP server with TLS from the start',
      store: { ...imap, protocol: 'smtps' },
      prefix: 'c:',
      table: 'limits',
    },
  ] as const)('of connections to $of are where its work is: table $table', async ({ store, prefix, table }) => {
    const tables = { limits: new MemoryRows(), inbox: new MemoryRows() };
    const written: string[] = [];
    for (const [name, rows] of Object.entries(tables)) {
      rows.onWrite = (_, writes) => void written.push(...writes.map(({ key }) => `${name} ${key.slice(0, 2)}`));
    }
    const limits = new AccountLimits(tables, { now: () => 1_000_000 }, () => () => undefined);
    const isSmtp = prefix === 'c:';
    const of = isSmtp
      ? resolveAccount('corpus', { from: 'a@example.com', transport: { auth, ...store } }).account
      : account(store);
    const endpoint = isSmtp ? of.transport : of.store;
    if (!endpoint || endpoint.protocol === 'sink') throw new Error('no endpoint');
    expect(await take(limits.slots(of, endpoint), 1)).toHaveLength(1);
    expect(written).toEqual([`${table} ${prefix}`]);
  });
});

describe('at the end of a process', () => {
  it('what it does not use is released, though something else is still in use', async () => {
    const { limits, pass } = processes(2);
    const [one, another] = limits as [AccountLimits, AccountLimits];
    for (const slot of await take(slotsOf(one, account(imap)), 5)) slot.release();
    await one.rate(account(imap, { perMinute: 5 }))?.acquire(never);
    await pass(1_000);
    await one.releaseAll(1);
    expect(await take(slotsOf(another, account(imap)), 5)).toHaveLength(5);
    // The mail under way keeps its right; the others of the minute are free.
    const rate = another.rate(account(imap, { perMinute: 5 }));
    const tokens = await Promise.all([1, 2, 3, 4, 5].map(() => rate?.acquire(never)));
    expect(tokens.filter((token) => token && !('retryAfterMs' in token))).toHaveLength(4);
  });

  it('without limits in use nothing is waited for', async () => {
    const [one] = processes().limits as [AccountLimits];
    slotsOf(one, account(imap));
    one.rate(account(imap, { perMinute: 5 }));
    await one.releaseAll(60_000);
  });

  it('what is still in use is waited for so long, and no longer', async () => {
    const [one] = processes().limits as [AccountLimits];
    expect(await take(slotsOf(one, account(imap)), 1)).toHaveLength(1);
    let now = 1_000;
    const looked: number[] = [];
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      looked.push(now);
      now += 100;
      return looked.at(-1) ?? 0;
    });
    try {
      await one.releaseAll(250);
    } finally {
      clock.mockRestore();
    }
    expect(looked).toEqual([1_000, 1_100, 1_200, 1_300]);
  });

  it('is over when the rows say that all is released, and not before', async () => {
    const { limits, rows } = processes();
    const [one] = limits as [AccountLimits];
    const [slot] = await take(slotsOf(one, account(imap)), 1);
    const gate = Promise.withResolvers<void>();
    rows.onWrite = () => gate.promise;
    slot?.release();
    let over = false;
    const released = one.releaseAll(60_000).then(() => {
      over = true;
    });
    for (let n = 0; n < 20; n += 1) await new Promise(setImmediate);
    expect(over).toBe(false);
    gate.resolve();
    await released;
  });
});
