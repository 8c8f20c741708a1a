import { describe, expect, it, vi } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { AccountStore } from '../accounts/account-store.ts';
import { accountsPartition } from '../accounts/keys.ts';
import { resolveAccount } from '../accounts/rules.ts';
import { jsonColumns } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { TestInbox } from './inbox.test-support.ts';
import { scheduleImports } from './schedule.ts';

const options = { signal: new AbortController().signal };
const minute = 60_000;

/** An inbox of many accounts, in rows as `AccountStore` keeps them; `schedule` of the n-th. */
async function manyAccounts(count: number, schedule: (n: number) => string | null = () => '0 */5 * * * *') {
  const inbox = new TestInbox();
  const rows = new MemoryRows(inbox.context.clock.now);
  const unused = () => {
    throw new Error('not for this test');
  };
  const secrets = new Proxy({} as never, { get: unused });
  const uses = { secrets, bound: () => secrets, webhookTargets: { check: unused }, reachable: false };
  const accounts = new AccountStore(rows, uses, inbox.context.clock);
  const names = Array.from({ length: count }, (_, n) => `account-${String(n).padStart(4, '0')}`);
  await rows.writeAll(
    accountsPartition,
    names.map((name, n) => {
      const { account } = resolveAccount(name, {
        from: 'test@example.com',
        store: { protocol: 'imap', host: 'mail.example.com', auth: { type: 'none' }, tls: { starttls: 'never' } },
        import: { schedule: schedule(n) },
      });
      return { kind: 'put', key: name, columns: { ...jsonColumns(account), version: name, createdAt: n } };
    }),
  );
  const context: InboxContext = {
    ...inbox.context,
    accounts: (signal) => accounts.list({ signal }),
    noteQueued: (queued, at) => accounts.noteQueued(queued, at),
  };
  /** One run of the timer: what it queued, and what storage was asked for beside that. */
  const run = async () => {
    const before = rows.requests;
    const queued = await scheduleImports(context, options);
    return { queued, requests: rows.requests - before, names: inbox.queued.splice(0).sort() };
  };
  return { inbox, rows, accounts, context, names, run };
}

describe('the schedule of many accounts', () => {
  it('asks storage once, and once more for each hundred that are due', async () => {
    const { inbox, names, run } = await manyAccounts(250);
    expect(await run()).toEqual({ queued: 250, requests: 1 + 3, names });
    expect(await run()).toEqual({ queued: 0, requests: 1, names: [] });
    inbox.now += 5 * minute;
    expect(await run()).toMatchObject({ queued: 250, requests: 1 + 3 });
  });

  it('queues those that are due, and leaves the others', async () => {
    const hourly = (n: number) => (n % 2 === 0 ? '0 0 * * * *' : n === 1 ? null : '0 * * * * *');
    const { inbox, run } = await manyAccounts(6, hourly);
    expect((await run()).queued).toBe(5);
    inbox.now += minute;
    expect((await run()).names).toEqual(['account-0003', 'account-0005']);
  });

  it.each<[string, (inbox: TestInbox) => void]>([
    ['is disabled', ({ account }) => Object.assign(account.account, { enabled: false })],
    ['has no store', ({ account }) => Object.assign(account.account, { store: null })],
    ['has no schedule', ({ account }) => Object.assign(account.account.import, { schedule: null })],
    [
      'has a schedule that never comes round',
      ({ account }) => {
        Object.assign(account.account.import, { schedule: '0 0 0 30 2 *' });
        Object.assign(account, { queuedAt: 0 });
      },
    ],
  ])('queues no account that %s', async (_, change) => {
    const inbox = new TestInbox({ schedule: '0 */5 * * * *' });
    change(inbox);
    expect(await scheduleImports(inbox.context, options)).toBe(0);
    expect(inbox.queued).toEqual([]);
  });

  it('queues an account again whose message was not taken, and holds up no other', async () => {
    const { context, inbox, names, run } = await manyAccounts(120);
    const { enqueue } = context;
    let away = true;
    Object.assign(context, {
      enqueue: async (...given: Parameters<typeof enqueue>) => {
        if (away && given[0] === names[7]) throw new Error('the queue is away');
        await enqueue(...given);
      },
    });
    expect((await run()).names).toEqual(names.filter((name) => name !== names[7]));
    away = false;
    expect((await run()).names).toEqual([names[7]]);
    expect(inbox.queued).toEqual([]);
  });

  it('queues a group again that was not noted, and the others not', async () => {
    const { rows, names, run } = await manyAccounts(150);
    rows.onWrite = (_, writes) => {
      if (writes.some(({ key }) => key === names[0])) throw new Error('storage is away');
    };
    const error = vi.spyOn(console, 'error').mockReturnValue(undefined);
    expect((await run()).queued).toBe(150);
    expect(error).toHaveBeenCalledWith(expect.stringContaining('storage is away'));
    error.mockRestore();
    rows.onWrite = () => undefined;
    expect((await run()).names).toEqual(names.slice(0, 100));
  });

  it('ends at once when it is aborted while it notes what it queued', async () => {
    const { context } = await manyAccounts(1);
    const cut = new AbortController();
    const noteQueued = async () => {
      cut.abort(new Error('the time is over'));
      throw new Error('storage is away');
    };
    const cutOff = scheduleImports({ ...context, noteQueued }, { signal: cut.signal });
    await expect(cutOff).rejects.toThrow('the time is over');
  });

  it('leaves the entity tag of an account as it is', async () => {
    const { accounts, names, run } = await manyAccounts(1);
    const [name = ''] = names;
    const before = await accounts.get(name, options);
    await run();
    expect(await accounts.get(name, options)).toEqual({ ...before, queuedAt: expect.any(Number) });
  });

  it('makes no import due because an account is saved', async () => {
    const { accounts, names, run } = await manyAccounts(1);
    const [name = ''] = names;
    await run();
    const { account } = await accounts.get(name, options);
    const { name: _, ...input } = account;
    await accounts.save(name, { ...input, from: 'other@example.com' }, () => undefined, options);
    expect((await accounts.get(name, options)).account.from).toBe('other@example.com');
    expect((await run()).queued).toBe(0);
  });

  it('ends at once when it is aborted', async () => {
    const { context, inbox } = await manyAccounts(150);
    const cut = new AbortController();
    const enqueue = async () => cut.abort(new Error('the time is over'));
    const cutOff = scheduleImports({ ...context, enqueue }, { signal: cut.signal });
    await expect(cutOff).rejects.toThrow('the time is over');
    expect(inbox.queued).toEqual([]);
  });
});
