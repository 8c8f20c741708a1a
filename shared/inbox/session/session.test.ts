import { afterEach, describe, expect, it } from 'vitest';
import { AccountHealth } from '../../accounts/health.ts';
import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { RowConflict } from '../../platform/rows.ts';
import { closeDeadRuns } from '../housekeeping.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes, singleKeys } from '../keys.ts';
import { announceRun, getRun, listRuns } from '../ledger/runs.ts';
import { askAgain } from './ask-again.ts';
import { eachAccount } from './each-account.ts';
import { Superseded } from './fence.ts';
import { type AccountLease, acquireLease, leaseHolder } from './lease.ts';
import { leaseMs, readTurn } from './turn-row.ts';
import { withSession } from './with-session.ts';

const signal = new AbortController().signal;
const options = { signal };
const minuteMs = 60_000;

const held: AccountLease[] = [];
afterEach(async () => {
  for (const lease of held.splice(0)) await lease.release();
});

async function leaseOf({ context, name }: TestInbox, runId: string): Promise<AccountLease> {
  const lease = await acquireLease(context, name, { runId, purpose: 'import' });
  if (!('release' in lease)) return expect.fail('the lease is not free');
  held.push(lease);
  return lease;
}

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
    if (!('release' in lease)) return expect.fail('the lease is not free');
    // A lease row that nobody renews any more.
    const row = await inbox.rows.get(name, singleKeys.turn);
    await lease.release();
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
    const inbox = new TestInbox();
    const { rows, name } = inbox;
    const { fence: first } = await leaseOf(inbox, 'first');
    await first.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]);
    // The first was stopped for longer than its lease.
    inbox.now += leaseMs + 1_000;
    const { fence: second } = await leaseOf(inbox, 'second');
    await expect(first.write([{ kind: 'put', key: 'a', columns: { n: 2 } }])).rejects.toBeInstanceOf(Superseded);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(1);
    await second.write([{ kind: 'put', key: 'a', columns: { n: 3 } }]);
    expect((await rows.get(name, 'a'))?.columns.n).toBe(3);
  });

  it('orders writes that are asked for together, and goes on after one that failed', async () => {
    const inbox = new TestInbox();
    const { rows, name } = inbox;
    const { fence } = await leaseOf(inbox, 'only');
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
      expect(await askAgain(context, name, holder?.runId ?? '', options)).toMatchObject({ status: 'running' });
    };
    await runImport(context, name, {});
    const [run] = await listRuns(context, name, { signal, top: 1 });
    expect(run).toMatchObject({ status: 'done', imported: 2 });
    expect(await askAgain(context, name, run?.id ?? '', options)).toBeUndefined();
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

describe('row `turn`', () => {
  const endOf = (lease: AccountLease) => lease.end({}, () => [], { heedsAsks: true });
  const named = async ({ context, name }: TestInbox, id: string) => await getRun(context, name, id, options);

  it('keeps an ask through a renewal of the lease, and another round hears the next one', async () => {
    const inbox = new TestInbox();
    const runId = newestFirstId(inbox.now);
    const lease = await leaseOf(inbox, runId);
    await askAgain(inbox.context, inbox.name, runId, options);
    await lease.fence.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]);
    expect(await endOf(lease)).toBe(false);
    await lease.goRound();
    await askAgain(inbox.context, inbox.name, runId, options);
    expect(await endOf(lease)).toBe(false);
    await lease.goRound();
    expect([await endOf(lease), lease.everAsked]).toEqual([true, true]);
    expect(await askAgain(inbox.context, inbox.name, runId, options)).toBeUndefined();
  });

  it('tells of a run that died before it had found anything', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    await runImport(context, name, {});
    const before = await listRuns(context, name, { signal, top: 9 });
    inbox.now += 1_000;
    const dead = newestFirstId(inbox.now);
    await leaseOf(inbox, dead);
    expect(await named(inbox, dead)).toBeUndefined();
    inbox.now += leaseMs + 1_000;
    // Somebody else has the turn in between, who does not look after runs.
    await withSession(context, name, { ...session('looks'), purpose: 'retention' }, async () => undefined);
    await runImport(context, name, {});
    const [first, ...others] = await listRuns(context, name, { signal, top: 9 });
    expect(first).toMatchObject({ id: dead, status: 'failed', error: 'The process ended during the run' });
    expect(others).toEqual(before);
    expect((await readTurn(context, name)).last).toMatchObject({ status: 'done', imported: 0 });
  });

  it('is all that a run which finds nothing writes, and is read before anything else', async () => {
    const inbox = new TestInbox();
    const { context, name, store, rows } = inbox;
    store.mails = [fakeMail(1)];
    await runImport(context, name, {});
    const asked: string[] = [];
    const { get, range } = { get: rows.get.bind(rows), range: rows.range.bind(rows) };
    rows.get = async (partition, key, given) => {
      asked.push(`get ${key}`);
      return await get(partition, key, given);
    };
    rows.range = async function* (partition, from, before, given) {
      asked.push(`range ${from}`);
      yield* range(partition, from, before, given);
    };
    rows.onWrite = (_, writes) => {
      asked.push(`write ${writes.map(({ key }) => key).join()}`);
    };
    inbox.now += minuteMs;
    await runImport(context, name, {});
    expect(asked).toEqual(['range turn', 'write turn', 'write turn']);
  });

  it('written by the version before is understood: checkpoints are kept, and its runs are overtaken', async () => {
    const inbox = new TestInbox();
    const { context, name, store, rows } = inbox;
    store.mails = [fakeMail(1)];
    await runImport(context, name, {});
    // As that version takes its turn; it keeps the lease elsewhere.
    const [etag = ''] = await rows.write(name, [{ kind: 'put', key: singleKeys.turn, columns: { run: 'before' } }]);
    store.mails.push(fakeMail(2));
    inbox.now += minuteMs;
    await runImport(context, name, {});
    const { last } = await readTurn(context, name);
    // Not a full round: the first mail was not listed again.
    expect(last).toMatchObject({ status: 'done', imported: 1, skipped: 0 });
    const proof = { kind: 'merge', key: singleKeys.turn, columns: { run: 'before' }, etag } as const;
    await expect(rows.write(name, [proof])).rejects.toBeInstanceOf(RowConflict);
    expect((await rows.get(name, singleKeys.turn))?.columns.run).not.toBe('before');
  });

  it('forgets what it knew where somebody else has written', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    await runImport(context, name, {});
    const quiet = async () => (await readTurn(context, name)).quiet;
    expect(await quiet()).toBeDefined();
    await withSession(context, name, { ...session('looks'), purpose: 'dryRun' }, async () => undefined);
    expect(await quiet()).toBeDefined();
    await withSession(context, name, { ...session('writes'), purpose: 'replay' }, ({ fence }) =>
      fence.write([{ kind: 'put', key: 'a', columns: { n: 1 } }]),
    );
    expect(await quiet()).toBeUndefined();
    inbox.now += minuteMs;
    await runImport(context, name, {});
    await leaseOf(inbox, 'dies');
    expect(await quiet()).toBeUndefined();
  });
});

describe('an account that fails', () => {
  const types = (inbox: TestInbox) => inbox.eventTypes().map((type) => type.replace('mailroom.account.', ''));

  it('is told once, and once more when it works again, whichever process finds out', async () => {
    const inbox = new TestInbox();
    const other = {
      ...inbox.context,
      health: new AccountHealth(inbox.rows, inbox.context.events, inbox.context.clock),
    };
    const open = inbox.store.open.bind(inbox.store);
    const run = async (context = inbox.context) => {
      inbox.now += 1_000;
      await runImport(context, inbox.name, {});
      return types(inbox);
    };
    expect(await run()).toEqual([]);
    inbox.store.open = async () => {
      throw new StoreError('signIn', 'wrong password');
    };
    expect(await run(other)).toEqual(['failing']);
    inbox.store.open = open;
    // This one has found the account working a moment ago, and does not believe that.
    expect(await run()).toEqual(['failing', 'recovered']);
    expect(await run(other)).toEqual(['failing', 'recovered']);
  });

  it('and is taken to work is put right by the housekeeping', async () => {
    const inbox = new TestInbox();
    const { context, name } = inbox;
    await runImport(context, name, {});
    // By a run that was stopped right before it could say so.
    await new AccountHealth(inbox.rows, context.events, context.clock).failing(name, 'store', { code: 'LATE' });
    await closeDeadRuns(context, options);
    inbox.now += minuteMs;
    await runImport(context, name, {});
    expect(types(inbox)).toEqual(['failing', 'recovered']);
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
