import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes, runKey } from '../keys.ts';
import { announceRun, getRun, writeRun } from '../ledger/runs.ts';
import { acquireLease, leaseHolder } from '../session/lease.ts';
import { readTurn } from '../session/turn-row.ts';
import { runImport } from './run.ts';

/** What the queue and the rows of runs have when an import has ended. */

const options = { signal: new AbortController().signal };
let inbox: TestInbox;
/** What was queued. */
let queued: { readonly runId?: string; readonly folder?: string; readonly delayMs?: number }[];
let logged: { readonly level: string; readonly line: Record<string, unknown> }[];

beforeEach(() => {
  inbox = new TestInbox();
  queued = [];
  Object.assign(inbox.context, {
    enqueue: async (_: string, asked: (typeof queued)[number]) => void queued.push(asked),
  });
  logged = [];
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((text: unknown) => {
      logged.push({ level, line: JSON.parse(String(text)) });
    });
  }
});
afterEach(() => vi.restoreAllMocks());

const named = (event: string) => logged.filter(({ line }) => Object.values(line).includes(event));
const run = (asked: { runId?: string; folder?: string } = {}) => runImport(inbox.context, inbox.name, asked);

/** Another worker has the account until the answer is called. */
async function leasedBy(view: { runId: string; purpose: string; folder?: string }): Promise<() => Promise<void>> {
  const lease = await acquireLease(inbox.context, inbox.name, view);
  if (!('release' in lease)) return expect.fail('the lease is not free');
  return () => lease.release();
}

describe('a run', () => {
  it('that finds nothing has no row of its own, and is the last one', async () => {
    await run();
    const before = await inbox.rowsOf(prefixes.run);
    inbox.now += 1_000;
    await run();
    expect([await inbox.rowsOf(prefixes.run), queued]).toEqual([before, []]);
    const { last } = await readTurn(inbox.context, inbox.name);
    expect(last).toMatchObject({ status: 'done', backlog: 0, startedAt: inbox.now });
  });

  it('reads what it begins with while the server is called, and checkpoints and scopes no more than once', async () => {
    const begins = [prefixes.checkpoint, prefixes.scope, prefixes.pending];
    const asked: string[] = [];
    const allAsked = Promise.withResolvers<void>();
    const { rows, store } = inbox;
    const { range } = { range: rows.range.bind(rows) };
    rows.range = async function* (partition, from, before, given) {
      asked.push(from);
      if (begins.every((prefix) => asked.includes(prefix))) allAsked.resolve();
      yield* range(partition, from, before, given);
    };
    const { open } = store;
    store.open = async (given) => {
      await allAsked.promise;
      return await open.call(store, given);
    };
    await run();
    expect(begins.map((each) => asked.filter((one) => one === each).length)).toEqual([1, 1, 2]);
    // It is known from the run before.
    asked.length = 0;
    store.open = open;
    inbox.now += 1_000;
    await run();
    expect(asked).not.toContain(prefixes.checkpoint);
  });

  it('that stands still at what it begins with ends with its time', async () => {
    const { rows } = inbox;
    const range = rows.range.bind(rows);
    const still = Promise.withResolvers<void>();
    rows.range = async function* (partition, from, before, given) {
      if (from === prefixes.scope) await still.promise;
      yield* range(partition, from, before, given);
    };
    Object.assign(inbox.context, { budgetMs: 100 });
    await run();
    still.resolve();
    const { last } = await readTurn(inbox.context, inbox.name);
    expect([last?.status, await leaseHolder(inbox.context, inbox.name)]).toEqual(['failed', undefined]);
  });

  it('that a caller was promised has its row while it goes on, and when it has ended', async () => {
    const { id } = await announceRun(inbox.context, inbox.name);
    let during: unknown;
    inbox.store.failure = () => undefined;
    const { open } = inbox.store;
    inbox.store.open = async (given) => {
      await given?.admitted;
      during = await getRun(inbox.context, inbox.name, id, options);
      return await open.call(inbox.store, given);
    };
    await run({ runId: id });
    expect(during).toMatchObject({ id, status: 'running', begun: true });
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({
      ...{ id, status: 'done', begun: true, finishedAt: inbox.now, backlog: 0 },
    });
  });

  it('says in one line what it did', async () => {
    inbox.store.mails = [1, 2].map(fakeMail);
    await run();
    expect(named('inbox.run')).toMatchObject([
      {
        level: 'info',
        line: { imported: 2, skipped: 0, pending: 0, quarantined: 0, disposed: 0, account: inbox.name },
      },
    ]);
  });

  it('of one folder goes through no other', async () => {
    inbox = new TestInbox({}, ['A', 'B']);
    const asked: string[] = [];
    inbox.store.failure = (folder) => void asked.push(folder);
    await runImport(inbox.context, inbox.name, { folder: 'B' });
    expect(new Set(asked)).toEqual(new Set(['B']));
  });
});

describe('a run of an account that imports nothing', () => {
  beforeEach(() => Object.assign(inbox.account.account, { enabled: false }));

  it('fails for whoever was promised it', async () => {
    const { id } = await announceRun(inbox.context, inbox.name);
    await run({ runId: id });
    expect(await getRun(inbox.context, inbox.name, id, options)).toMatchObject({
      ...{ status: 'failed', finishedAt: inbox.now, error: 'The account is disabled or has no store' },
    });
    expect([inbox.store.sessions, queued]).toEqual([0, []]);
  });

  it('leaves nothing where nobody was', async () => {
    await run();
    expect([await inbox.rowsOf(''), queued]).toEqual([[], []]);
  });
});

describe('a run that meets another one', () => {
  it('has it go round once more, and is not queued', async () => {
    const release = await leasedBy({ runId: newestFirstId(inbox.now), purpose: 'import' });
    await run();
    expect(queued).toEqual([]);
    expect((await inbox.rows.get(inbox.name, 'turn'))?.columns.asked).toBe(true);
    await release();
  });

  it.each([
    ['of one folder, and is of all', { folder: 'INBOX' }, {}, [{ delayMs: 3_000 }]],
    ['of another folder', { folder: 'A' }, { folder: 'B' }, [{ folder: 'B', delayMs: 3_000 }]],
    ['of the same folder', { folder: 'A' }, { folder: 'A' }, []],
    ['of all folders, and is of one', {}, { folder: 'A' }, []],
  ])('%s, comes back in three seconds unless it covers it', async (_, holder, asked, expected) => {
    const release = await leasedBy({ runId: newestFirstId(inbox.now), purpose: 'import', ...holder });
    await run(asked);
    expect(queued).toEqual(expected);
    await release();
  });

  it('comes back where that one imports nothing, or where a caller was promised this one', async () => {
    const release = await leasedBy({ runId: newestFirstId(inbox.now), purpose: 'retention' });
    await run();
    await release();
    const { id } = await announceRun(inbox.context, inbox.name);
    const releaseOther = await leasedBy({ runId: newestFirstId(inbox.now), purpose: 'import' });
    await run({ runId: id });
    expect(queued).toEqual([{ delayMs: 3_000 }, { runId: id, delayMs: 3_000 }]);
    await releaseOther();
  });
});

describe('a run for which no connection is free', () => {
  beforeEach(() => {
    inbox.store.open = async ({ admitted } = {}) => {
      await admitted;
      throw new StoreError('noConnection', 'all in use', { retryAfterMs: 7_000 });
    };
  });

  it('waits on the queue as if it had not begun, and others leave it to it', async () => {
    await run();
    const [row] = await inbox.rowsOf(prefixes.run);
    const id = row?.key.slice(prefixes.run.length);
    expect(row?.columns).toMatchObject({ status: 'running', begun: false });
    expect(queued).toEqual([{ runId: id, delayMs: 7_000 }]);
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
    inbox.now += 1_000;
    await run();
    expect((await inbox.rowsOf(prefixes.run)).map(({ key }) => key)).toEqual([row?.key]);
    expect(queued).toHaveLength(1);
    expect(named('inbox.noConnectionFree')).toHaveLength(2);
  });

  it('that was promised waits beside others', async () => {
    await run();
    inbox.now += 1_000;
    const { id } = await announceRun(inbox.context, inbox.name);
    await run({ runId: id, folder: 'INBOX' });
    expect(queued.at(-1)).toEqual({ runId: id, folder: 'INBOX', delayMs: 7_000 });
    expect(await inbox.rowsOf(prefixes.run)).toHaveLength(2);
  });
});

describe('a run that fails', () => {
  it.each([
    [
      'the account',
      new StoreError('signIn', 'wrong password', { code: 'AUTH', hint: 'Look' }),
      { code: 'AUTH', hint: 'Look' },
    ],
    ['the account, without a code', new StoreError('connection', 'gone'), { code: 'connection' }],
    ['nobody: the provider asks for a pause', new StoreError('throttled', 'slow', { code: '429' }), undefined],
    ['nobody: it is our own', new Error('storage is away'), undefined],
  ])('is recorded, and is the trouble of %s', async (_, error, data) => {
    inbox.store.failure = () => {
      throw error;
    };
    const { status, error: text, finishedAt } = await importOnce(inbox);
    expect([status, finishedAt]).toEqual(['failed', inbox.now]);
    expect(text).toContain(error.message);
    const failing = inbox.events.filter(({ type }) => type === 'mailroom.account.failing');
    expect(failing.map((event) => event.data)).toEqual(data ? [expect.objectContaining(data)] : []);
    expect(named('inbox.runFailed')).toMatchObject([{ level: 'error' }]);
    expect(await inbox.rowsOf(prefixes.run)).toHaveLength(1);
  });

  it('keeps what the one before had left, and says so in its log line', async () => {
    const oldestWaitingAt = inbox.now - 90_000;
    const ended = { status: 'done', begun: true, finishedAt: inbox.now, backlog: 7, oldestWaitingAt } as const;
    await writeRun(inbox.context, inbox.name, { ...(await announceRun(inbox.context, inbox.name)), ...ended });
    inbox.store.failure = () => {
      throw new StoreError('connection', 'gone');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', backlog: 7, oldestWaitingAt });
    expect(named('inbox.backlog').map(({ line }) => line)).toMatchObject([{ mails: 7, oldestAgeSeconds: 91 }]);
    expect(queued).toEqual([]);
  });

  it('has a text of 500 characters at most', async () => {
    inbox.store.failure = () => {
      throw new StoreError('protocol', 'x'.repeat(600));
    };
    expect((await importOnce(inbox)).error).toHaveLength(500);
  });
});

describe('the log of what waits', () => {
  it('has a line while something waits, one more when nothing does any more, and none after that', async () => {
    inbox.store.mails = [fakeMail(1)];
    inbox.store.content = () => ({ kind: 'broken', reason: 'notMail' });
    await importOnce(inbox);
    const waits = () => named('inbox.backlog').map(({ line }) => line.mails);
    expect(waits()).toEqual([1]);
    inbox.store.content = () => undefined;
    inbox.now += 10 * 60_000;
    await importOnce(inbox);
    expect(waits()).toEqual([1, 0]);
    expect(named('inbox.backlog').at(-1)?.line.oldestAgeSeconds).toBe(0);
    await importOnce(inbox);
    expect(waits()).toEqual([1, 0]);
  });
});

describe('a process that is ending', () => {
  it('begins no run, and leaves it to another', async () => {
    await inbox.context.shutdown.announce(0);
    await run({ runId: 'promised', folder: 'INBOX' });
    await run();
    expect(queued).toEqual([{ runId: 'promised', folder: 'INBOX' }, {}]);
    expect([inbox.store.sessions, await inbox.rowsOf('')]).toEqual([0, []]);
  });

  it('queues what it cut, and does not call it the account’s trouble', async () => {
    inbox.store.failure = () => {
      void inbox.context.shutdown.announce(0);
      throw new StoreError('connection', 'cut');
    };
    await run({ folder: 'INBOX' });
    expect(queued).toEqual([{ folder: 'INBOX' }]);
    expect(inbox.eventTypes()).toEqual([]);
  });
});

describe('a run whose process had ended without a word', () => {
  it('is marked as failed by the next one', async () => {
    const id = newestFirstId(inbox.now);
    await inbox.rows.write(inbox.name, [
      {
        ...{ kind: 'put', key: 'turn' },
        columns: {
          leaseOwner: 'gone',
          leaseUntil: inbox.now,
          purpose: 'import',
          run: id,
          startedAt: inbox.now,
          open: true,
        },
      },
    ]);
    inbox.now += 10 * 60_000;
    await run();
    expect((await inbox.rows.get(inbox.name, runKey(id)))?.columns).toMatchObject({
      ...{ status: 'failed', error: 'The process ended during the run', finishedAt: inbox.now },
    });
  });
});
