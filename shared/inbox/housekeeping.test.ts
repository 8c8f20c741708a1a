import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refusalOf } from '../../test/support/refusal-of.ts';
import { StoreError } from '../adapters/store.ts';
import { newestFirstId } from '../platform/ids.ts';
import { listFolders } from './folders.ts';
import { closeDeadRuns, removeOldRuns } from './housekeeping.ts';
import { importOnce, TestInbox } from './inbox.test-support.ts';
import { droppedKey, dueKey, quarantineKey, runKey } from './keys.ts';
import { pendingRow } from './ledger/pending.ts';
import { announceRun, getRun, writeRun } from './ledger/runs.ts';
import { countLeft, countLimit } from './left-rows.ts';
import { Process, PushStage } from './push/push.test-support.ts';
import { handleGivenUpEntry, importFromQueue } from './queue-entry.ts';
import { noCounts } from './run-counts.ts';
import { leaseMs, readTurn } from './session/turn-row.ts';

const options = { signal: new AbortController().signal };
const dayMs = 86_400_000;
let inbox: TestInbox;

beforeEach(() => {
  for (const level of ['info', 'warn', 'error'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
  inbox = new TestInbox();
});
afterEach(() => vi.restoreAllMocks());

async function run(startedAt: number, status: 'running' | 'done' = 'done'): Promise<string> {
  const id = newestFirstId(startedAt);
  await writeRun(inbox.context, inbox.name, { ...noCounts(), id, startedAt, status, begun: true });
  return id;
}

describe('old runs', () => {
  it('go after their days, with what was dropped, and nothing else does', async () => {
    const old = await run(inbox.now - 30 * dayMs - 1);
    const recent = await run(inbox.now - 30 * dayMs + 1_000);
    const keys = [
      droppedKey(inbox.now - 31 * dayMs, 'l:old'),
      droppedKey(inbox.now - 29 * dayMs, 'l:recent'),
      dueKey(inbox.now - 90 * dayMs, 'l:x'),
      quarantineKey(inbox.now - 90 * dayMs, 'x'),
      'l:ledger',
    ];
    for (const key of keys) await inbox.rows.write(inbox.name, [{ kind: 'put', key, columns: { at: 0 } }]);
    await removeOldRuns(inbox.context, 30, options);
    const left = (await inbox.rowsOf('')).map(({ key }) => key);
    expect(left.toSorted()).toEqual([runKey(recent), ...keys.slice(1)].toSorted());
    expect(await getRun(inbox.context, inbox.name, old, options)).toBeUndefined();
  });

  it('of one account go though those of another cannot be read', async () => {
    const id = await run(inbox.now - 31 * dayMs);
    const { rows } = inbox.context;
    const range: typeof rows.range = (partition, ...asked) => {
      if (partition === 'broken') throw new Error('storage is away');
      return rows.range(partition, ...asked);
    };
    const broken = Object.assign(Object.create(rows), { range, deleteEach: rows.deleteEach.bind(rows) });
    const context = { ...inbox.context, rows: broken, accountNames: async () => ['broken', inbox.name] };
    await removeOldRuns(context, 30, options).catch(() => undefined);
    expect(await getRun(inbox.context, inbox.name, id, options)).toBeUndefined();
  });
});

describe('what is old', () => {
  it('is removed in turns of 5,000 rows of a kind, so that the timer has an end', async () => {
    const at = inbox.now - 31 * dayMs;
    const dropped = Array.from({ length: 5_001 }, (_, n) => droppedKey(at, `l:${n}`));
    for (const key of dropped) await inbox.rows.write(inbox.name, [{ kind: 'put', key, columns: { at } }]);
    await removeOldRuns(inbox.context, 30, options);
    expect(await inbox.rowsOf('')).toHaveLength(1);
    await removeOldRuns(inbox.context, 30, options);
    expect(await inbox.rowsOf('')).toEqual([]);
  });

  it('is nothing, where all is recent: then nothing is written', async () => {
    await run(inbox.now);
    let writes = 0;
    inbox.rows.onWrite = () => {
      writes += 1;
    };
    await removeOldRuns(inbox.context, 30, options);
    expect(writes).toBe(0);
  });
});

describe('a run that died', () => {
  it('is marked as failed, also where no other run comes', async () => {
    const id = await run(inbox.now, 'running');
    inbox.now += leaseMs - 1;
    await closeDeadRuns(inbox.context, options);
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({ status: 'running' });
    inbox.now += 1;
    await closeDeadRuns(inbox.context, options);
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({
      status: 'failed',
      finishedAt: inbox.now,
    });
  });

  it('that has no row of its own gets one', async () => {
    const id = newestFirstId(inbox.now);
    const columns = { leaseOwner: 'gone', leaseUntil: inbox.now, purpose: 'import', run: id, startedAt: inbox.now };
    await inbox.rows.write(inbox.name, [{ kind: 'put', key: 'turn', columns }]);
    inbox.now += 10 * 60_000;
    await closeDeadRuns(inbox.context, options);
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({
      ...{ status: 'failed', startedAt: inbox.now - 10 * 60_000, error: 'The process ended during the run' },
    });
  });

  it('is left alone while it goes on', async () => {
    const id = await run(inbox.now - 10 * 60_000, 'running');
    const columns = { leaseOwner: 'alive', leaseUntil: inbox.now + leaseMs, purpose: 'import', run: id };
    await inbox.rows.write(inbox.name, [{ kind: 'put', key: 'turn', columns }]);
    await closeDeadRuns(inbox.context, options);
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({ status: 'running' });
  });
});

describe('an account that is told to fail', () => {
  it('is found out about by the next run, where the last one took it to work', async () => {
    await importOnce(inbox);
    expect((await readTurn(inbox.context, inbox.name)).works).toBe(true);
    await closeDeadRuns(inbox.context, options);
    expect((await readTurn(inbox.context, inbox.name)).works).toBe(true);
    // Another run, which had failed, wrote its trouble later.
    await inbox.context.health.failing(inbox.name, 'store', { code: 'X' });
    await closeDeadRuns(inbox.context, options);
    expect((await readTurn(inbox.context, inbox.name)).works).toBe(false);
    await importOnce(inbox);
    expect(inbox.eventTypes()).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });
});

describe('an account whose originals or transport fail', () => {
  it.each(['originals', 'transport'] as const)('has a store that works: %s', async (side) => {
    await importOnce(inbox);
    await inbox.context.health.failing(inbox.name, side, { code: 'X' });
    await closeDeadRuns(inbox.context, options);
    expect((await readTurn(inbox.context, inbox.name)).works).toBe(true);
  });
});

describe('what runs have left', () => {
  const source = (n: number) => ({ store: 'imap:fake', scope: 'INBOX;7', item: String(n).padStart(10, '0') });
  const put = async (key: string) =>
    await inbox.rows.write(inbox.name, [{ kind: 'put', key, columns: { at: inbox.now } }]);
  const pend = async (n: number, receivedAt?: number) => {
    const mail = { source: source(n), folder: 'INBOX', ...(receivedAt === undefined ? {} : { receivedAt }) };
    await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: 1, reason: 'x', now: inbox.now })]);
  };

  it('is counted by its kind, with when pending mail came', async () => {
    await pend(1, 5_000);
    await pend(2);
    await put(quarantineKey(inbox.now, 'q'));
    for (const n of [1, 2, 3]) await put(droppedKey(inbox.now, `l:${n}`));
    await put('zz:other');
    const before = inbox.rows.requests;
    expect(await countLeft(inbox.context, inbox.name, options)).toEqual({
      ...{ pending: 2, pendingReceivedAt: [5_000], quarantined: 1, dropped: 3 },
    });
    expect(inbox.rows.requests - before).toBe(1);
  });

  it('is counted kind by kind where there is very much of one', async () => {
    await pend(1, 5_000);
    await put(quarantineKey(inbox.now, 'q'));
    for (let n = 0; n < countLimit + 1; n += 1) await put(droppedKey(inbox.now, `l:${n}`));
    expect(await countLeft(inbox.context, inbox.name, options)).toEqual({
      ...{ pending: 1, pendingReceivedAt: [5_000], quarantined: 1, dropped: countLimit },
    });
  });
});

describe('an entry of the queue', () => {
  const push = {} as Parameters<typeof importFromQueue>[0]['push'];

  it.each([undefined, 'text', {}, { account: 7 }, { account: 'a', subscriptions: false }])(
    'of another form is refused: %j',
    async (entry) => {
      await expect(importFromQueue({ inbox: inbox.context, push }, entry)).rejects.toThrow();
      expect(inbox.store.sessions).toBe(0);
    },
  );

  it('has the account imported, under the id that was promised', async () => {
    const runId = newestFirstId(inbox.now);
    await importFromQueue({ inbox: inbox.context, push }, { account: inbox.name, runId, folder: 'INBOX' });
    expect(await getRun(inbox.context, inbox.name, runId, options)).toMatchObject({ status: 'done' });
    await importFromQueue({ inbox: inbox.context, push }, { account: inbox.name });
    expect(inbox.store.sessions).toBe(2);
  });

  it('for one folder has no other gone through', async () => {
    const { context, name, store } = new TestInbox({}, ['INBOX', 'Archive']);
    const folders = new Set<string>();
    store.failure = (folder) => void folders.add(folder);
    await importFromQueue({ inbox: context, push }, { account: name, folder: 'Archive' });
    expect([...folders]).toEqual(['Archive']);
    await importFromQueue({ inbox: context, push }, { account: name });
    expect([...folders].toSorted()).toEqual(['Archive', 'INBOX']);
  });

  it('after subscriptions has them looked after, and imports nothing', async () => {
    const stage = new PushStage({ refusesSecond: false });
    const { name } = stage.account;
    await importFromQueue(
      { inbox: inbox.context, push: stage.context(new Process()) },
      { account: name, subscriptions: true },
    );
    expect([stage.made.size, inbox.store.sessions]).toEqual([1, 0]);
  });

  it('that was given up has its run recorded as failed; a look after subscriptions comes again by itself', async () => {
    const { id: runId } = await announceRun(inbox.context, inbox.name);
    const given = (entry: object) => ({ id: 'm', at: inbox.now, entry });
    const left = await handleGivenUpEntry(inbox.context, given({ account: inbox.name, subscriptions: true }), options);
    expect(left).toMatchObject({ result: 'left', account: inbox.name });
    await handleGivenUpEntry(inbox.context, given({ account: inbox.name, runId }), options);
    expect(await getRun(inbox.context, inbox.name, runId, options)).toMatchObject({ status: 'failed' });
  });
});

describe('the folders of a mailbox', () => {
  const list = () => listFolders(inbox.context, inbox.account, options);

  it('are asked for now, also of a disabled account, and the session is closed', async () => {
    let closed = 0;
    const { open } = inbox.store;
    inbox.store.open = async (given) => {
      const session = await open.call(inbox.store, given);
      const close = async () => {
        closed += 1;
      };
      return { ...session, close };
    };
    Object.assign(inbox.account.account, { enabled: false });
    expect(await list()).toEqual([{ name: 'INBOX', total: 0, selected: true }]);
    expect(closed).toBe(1);
  });

  it('of an account without a store are a conflict', async () => {
    Object.assign(inbox.account.account, { store: null });
    expect(await refusalOf(list())).toMatchObject({ reason: 'conflict', message: 'The account has no store.' });
  });

  it('that cannot be asked for are told with what can be done, and the session is closed', async () => {
    inbox.store.failure = () => {
      throw new StoreError('throttled', 'slow down', { hint: 'Wait a while.', retryAfterMs: 7_000 });
    };
    const refusal = await refusalOf(list());
    expect(refusal).toMatchObject({ reason: 'unavailable', retryAfterMs: 7_000 });
    expect(refusal.message).toContain('Wait a while.');
    inbox.store.failure = () => {
      throw new TypeError('ours');
    };
    await expect(list()).rejects.toThrow('ours');
  });
});
