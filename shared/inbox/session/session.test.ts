import { describe, expect, it } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { closeDeadRuns } from '../housekeeping.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes, singleKeys } from '../keys.ts';
import { announceRun, getRun, listRuns } from '../ledger/runs.ts';
import { eachAccount } from './each-account.ts';
import { Fence, Superseded } from './fence.ts';
import { acquireLease, leaseHolder, leaseMs } from './lease.ts';
import { askAgain } from './rounds.ts';
import { withSession } from './with-session.ts';

const signal = AbortSignal.timeout(120_000);
const options = { signal };
const minuteMs = 60_000;

const session = (runId: string) => ({ runId, purpose: 'import' as const, budgetMs: 60_000, signal });

describe('the lease of an account', () => {
  it('has one holder, who is named to the others, and is free again when the session ends', async () => {
    const { context, name } = new TestInbox();
    const result = await withSession(context, name, session('one'), async () => {
      expect(await leaseHolder(context, name)).toMatchObject({ runId: 'one', purpose: 'import' });
      return await withSession(context, name, session('two'), async () => 'both');
    });
    expect(result).toMatchObject({ kind: 'done', result: { kind: 'leased', holder: { runId: 'one' } } });
    expect(await leaseHolder(context, name)).toBeUndefined();
  });

  it('of a process that died lapses', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    const view = { runId: 'dead', purpose: 'import' };
    const lease = await acquireLease(context, name, view);
    // A lease row that nobody renews any more.
    const row = await inbox.rows.get(name, singleKeys.lease);
    if ('release' in lease) await lease.release();
    if (row) await inbox.rows.write(name, [{ kind: 'put', key: row.key, columns: row.columns }]);
    expect(await leaseHolder(context, name)).toMatchObject(view);
    inbox.now += leaseMs + 1_000;
    expect(await leaseHolder(context, name)).toBeUndefined();
  });

  it('is given back when signing in fails, and when no connection is free', async () => {
    const inbox = new TestInbox();
    const { context, name, store } = inbox;
    const open = store.open.bind(store);
    store.open = async () => {
      throw new StoreError('signIn', 'wrong password');
    };
    await expect(withSession(context, name, session('one'), async () => undefined)).rejects.toThrow('wrong password');
    store.open = async () => {
      throw new StoreError('noConnection', 'all connections are in use', { retryAfterMs: 7_000 });
    };
    const noConnection = { kind: 'noConnection', retryAfterMs: 7_000 };
    expect(await withSession(context, name, session('two'), async () => undefined)).toEqual(noConnection);
    store.open = open;
    expect(await withSession(context, name, session('three'), async () => 'done')).toMatchObject({ kind: 'done' });
  });

  it('is not even asked to sign in for an account that is disabled', async () => {
    const inbox = new TestInbox();
    Object.assign(inbox.account.account, { enabled: false });
    const result = await withSession(inbox.context, inbox.name, session('one'), async () => undefined);
    expect([result, inbox.store.sessions]).toEqual([{ kind: 'inactive' }, 0]);
  });
});

describe('the turn', () => {
  it('lets only the run write whose turn it is, and leaves what an overtaken one wanted unwritten', async () => {
    const { rows, name } = new TestInbox();
    const [first, second] = [new Fence(rows, name, 'first'), new Fence(rows, name, 'second')];
    await first.begin();
    await first.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]);
    await second.begin();
    await expect(first.write([{ kind: 'put', key: 'a', columns: { n: 2 } }])).rejects.toBeInstanceOf(Superseded);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(1);
    await second.write([{ kind: 'put', key: 'a', columns: { n: 3 } }]);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(3);
  });

  it('orders writes that are asked for together, and goes on after one that failed', async () => {
    const { rows, name } = new TestInbox();
    const fence = new Fence(rows, name, 'only');
    await fence.begin();
    const results = await Promise.allSettled([
      fence.write([{ kind: 'insert', key: 'a', columns: { n: 1 } }]),
      fence.write([{ kind: 'insert', key: 'a', columns: { n: 2 } }]),
      fence.write([{ kind: 'merge', key: 'a', columns: { n: 3 } }]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(3);
  });
});

describe('a run under way', () => {
  it('that is asked in time goes round once more, and cannot be asked when it has ended', async () => {
    const inbox = new TestInbox();
    const { context, name, store } = inbox;
    store.mails = [fakeMail(1)];
    let asked: boolean | undefined;
    store.content = ({ item }) => {
      if (item !== fakeMail(1).item || asked !== undefined) return undefined;
      asked = false;
      store.mails.push(fakeMail(2));
      return undefined;
    };
    inbox.rows.onWrite = async (_, writes) => {
      if (asked !== false || !writes.some(({ kind }) => kind === 'insert')) return;
      asked = true;
      const holder = await leaseHolder(context, name);
      expect(await askAgain(context, name, holder?.runId ?? '')).toBe(true);
    };
    await runImport(context, name, {});
    const [run] = await listRuns(context, name, { signal, top: 1 });
    expect(run).toMatchObject({ status: 'done', imported: 2 });
    expect(await askAgain(context, name, run?.id ?? '')).toBe(false);
  });

  it('that dies is failed by the housekeeping, one that waits on the queue only when it is too old', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    const waiting = await announceRun(context, name);
    const begun = await announceRun(context, name);
    const key = `${prefixes.run}${begun.id}`;
    await inbox.rows.write(name, [{ kind: 'merge', key, columns: { begun: true } }]);
    inbox.now += 2 * minuteMs;
    await closeDeadRuns(context, options);
    const statusOf = async (id: string) => (await getRun(context, name, id, options))?.status;
    expect([await statusOf(waiting.id), await statusOf(begun.id)]).toEqual(['running', 'failed']);
    inbox.now += 10 * minuteMs;
    await closeDeadRuns(context, options);
    expect(await statusOf(waiting.id)).toBe('failed');
  });
});

describe('a timer’s task for every account', () => {
  it('comes back to accounts that are leased, and passes over those that fail', async () => {
    const done: string[] = [];
    let refusals = 1;
    const task = async (name: string) => {
      if (name === 'failing') throw new Error('its server is away');
      if (name === 'leased' && refusals-- > 0) return 'leased';
      done.push(name);
      return undefined;
    };
    await eachAccount(['failing', 'leased', 'idle'], task, { signal, label: 'test' });
    expect(done).toEqual(['idle', 'leased']);
  });

  it('begins with another account each time: none is always left over', async () => {
    const first = new Set<string>();
    for (let time = 0; time < 200; time += 1) {
      const done: string[] = [];
      await eachAccount(['a', 'b', 'c'], async (name) => done.push(name), { signal, label: 'test' });
      expect([...done].sort()).toEqual(['a', 'b', 'c']);
      first.add(done[0] ?? '');
    }
    expect([...first].sort()).toEqual(['a', 'b', 'c']);
  });

  it('ends when it is aborted', async () => {
    const cut = new AbortController();
    const task = async () => {
      cut.abort(new Error('the process is to end'));
      throw new Error('cut off');
    };
    await expect(eachAccount(['one'], task, { signal: cut.signal, label: 'test' })).rejects.toThrow('is to end');
  });
});
