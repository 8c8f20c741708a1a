import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { StoreError } from '../../adapters/store.ts';
import { jsonOf } from '../../platform/rows.ts';
import { changeSession, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { beginPage } from '../ledger/pages-in-progress.ts';
import { type PendingState, pendingRow } from '../ledger/pending.ts';
import { acquireLease } from '../session/lease.ts';
import { readTurn } from '../session/turn-row.ts';
import { Pages, timeMachine } from './pages.test-support.ts';
import { runImport } from './run.ts';

/** What one round over the folders takes in, and what it leaves to the next. */

let inbox: TestInbox;
/** What was queued. */
let queued: unknown[];

function newInbox(folders: readonly string[] = ['INBOX'], rule: Readonly<Record<string, unknown>> = {}): void {
  inbox = new TestInbox(rule, folders);
  queued = [];
  Object.assign(inbox.context, { enqueue: async (_: string, asked: unknown) => void queued.push(asked) });
}

beforeEach(() => {
  newInbox();
  for (const level of ['info', 'warn', 'error'] as const) vi.spyOn(console, level).mockReturnValue();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The mails that are imported, by number. */
const imported = async () =>
  (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => Number(/\d+/.exec(String(columns.messageId))?.[0]));
const cameAt = (n: number) => fakeMail(n).receivedAt;
const checkpoints = async () => (await inbox.rowsOf(prefixes.checkpoint)).map(jsonOf);
const deletes = { delete: 'immediately', deleteMode: 'permanent' };
const broken = { kind: 'broken', reason: 'notMail' } as const;

describe('a run whose time comes to its end', () => {
  it.each([
    ['nearly over', 0.85],
    ['over', 0.95],
  ])(
    'begins no page when it is %s, says how much mail waits since when, and leaves it to the next',
    async (_, share) => {
      newInbox(['A', 'B', 'C']);
      const pass = timeMachine(inbox);
      const pages = new Pages(inbox, { A: [[1], [30, 20, 40], [41, 42]], B: [[50, 10], [60]], C: [[70]] });
      pages.before = async (folder, page) => {
        if (folder !== 'A' || page !== 1) return;
        // The first page is being fetched.
        await turns();
        pass(share);
      };
      expect(await importOnce(inbox)).toMatchObject({
        ...{ status: 'done', imported: 1, backlog: 9, oldestWaitingAt: cameAt(10) },
      });
      expect([await imported(), queued]).toEqual([[1], [{}]]);
      pages.before = () => undefined;
      const next = await importOnce(inbox);
      expect(next).toMatchObject({ status: 'done', imported: 9, backlog: 0 });
      expect(next).not.toHaveProperty('oldestWaitingAt');
      expect(new Set(await imported())).toEqual(new Set([1, 10, 20, 30, 40, 41, 42, 50, 60, 70]));
      expect(queued).toEqual([{}]);
    },
  );

  it.each([
    ['a listing that says it of some', { A: [[3, 4, 5]] }, [3, 5], 4],
    ['the first of several folders', { A: [[3]], B: [[4]] }, [], 3],
    ['a later one', { A: [[4]], B: [[3]] }, [], 3],
    ['the only folder that has mail', { A: [[3]], B: [] }, [], 3],
    ['the only folder that says it', { A: [[4]], B: [[3]] }, [3], 4],
  ])('knows since when mail waits from %s', async (_, lists, untimed, oldest) => {
    newInbox(Object.keys(lists));
    const pass = timeMachine(inbox);
    const pages = new Pages(inbox, lists);
    for (const n of untimed) pages.untimed.add(n);
    pages.before = (folder) => {
      if (folder === 'A') pass(0.85);
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 0, oldestWaitingAt: cameAt(oldest) });
  });

  it('says nothing of since when where no listing does', async () => {
    const pass = timeMachine(inbox);
    const pages = new Pages(inbox, { INBOX: [[1]] });
    pages.untimed.add(1);
    pages.before = () => pass(0.85);
    const run = await importOnce(inbox);
    expect(run.backlog).toBe(1);
    expect(run).not.toHaveProperty('oldestWaitingAt');
  });

  it('leaves a page it has noted and has no time to fetch, and the next one takes it in', async () => {
    const pass = timeMachine(inbox);
    const pages = new Pages(inbox, { INBOX: [[1, 2], [3]] });
    let passed = false;
    inbox.rows.onWrite = (_, writes) => {
      if (passed || !writes.some(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress))) return;
      passed = true;
      pass(0.85);
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 0, backlog: 3, oldestWaitingAt: cameAt(1) });
    expect([queued, await inbox.rowsOf(prefixes.inProgress), await checkpoints()]).toEqual([[{}], [], []]);
    expect(await importOnce(inbox)).toMatchObject({ imported: 3, pending: 0, backlog: 0 });
    expect(pages.begun).toEqual(['INBOX 0', 'INBOX 0']);
  });

  it('leaves the very last page to a continuation as well', async () => {
    const pass = timeMachine(inbox);
    new Pages(inbox, { INBOX: [[1, 2]] });
    inbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ kind, key }) => kind === 'put' && key.startsWith(prefixes.inProgress))) pass(0.85);
    };
    expect(await importOnce(inbox)).toMatchObject({ imported: 0, backlog: 2 });
    expect(queued).toEqual([{}]);
  });

  it.each([
    ['ends a folder without news while there is time to look', 0.85, []],
    ['leaves to a continuation what it had no time to look at', 0.95, [{}]],
  ])('%s', async (_, share, expected) => {
    const pages = new Pages(inbox, { INBOX: [[1]] });
    await importOnce(inbox);
    const pass = timeMachine(inbox);
    pages.before = () => pass(share);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', backlog: 0 });
    expect(queued).toEqual(expected);
  });

  it('tries no refused disposal again', async () => {
    newInbox(['INBOX'], deletes);
    const pages = new Pages(inbox, { INBOX: [[1]] });
    inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no') });
    await importOnce(inbox);
    inbox.store.outcome = () => undefined;
    inbox.now += 10 * 60_000;
    const pass = timeMachine(inbox);
    pages.before = () => pass(0.85);
    await importOnce(inbox);
    expect([inbox.store.disposed, queued]).toEqual([[], []]);
  });
});

describe('a folder', () => {
  it('whose server lists strangely is imported, and its trouble is the account’s', async () => {
    const pages = new Pages(inbox, { INBOX: [[1]] });
    pages.trouble = 'The server lists for ever';
    expect(await importOnce(inbox)).toMatchObject({
      ...{ status: 'done', imported: 1, error: 'folder "INBOX": The server lists for ever' },
    });
    expect(inbox.events.filter(({ type }) => type === 'mailroom.account.failing')).toMatchObject([
      { data: { side: 'store', code: 'ENDLESS', hint: 'The server lists for ever' } },
    ]);
  });

  it('whose mails all came in leaves no continuation', async () => {
    const pages = new Pages(inbox, { INBOX: [[1], [2]] });
    expect(await importOnce(inbox)).toMatchObject({ imported: 2, backlog: 0 });
    expect([queued, pages.begun]).toEqual([[], ['INBOX 0']]);
  });

  it('that fails behind its first page keeps no other out', async () => {
    newInbox(['A', 'B']);
    const pages = new Pages(inbox, { A: [[1], [2]], B: [[3]] });
    pages.before = (folder, page) => {
      if (folder === 'A' && page === 1) throw new StoreError('protocol', 'no such page');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2, backlog: 0 });
    expect((await imported()).sort()).toEqual([1, 3]);
    expect(await checkpoints()).toEqual([{ behind: 1 }, { behind: 1 }]);
  });

  it('that fails loses no mail that was pending by then, though no other folder has news', async () => {
    newInbox(['A', 'B']);
    const pages = new Pages(inbox, { A: [[], [1], [2]], B: [[3]] });
    let failsAt = 1;
    pages.before = (folder, page) => {
      if (folder === 'A' && page === failsAt) throw new StoreError('protocol', 'no such page');
    };
    await importOnce(inbox);
    failsAt = 2;
    inbox.store.content = () => broken;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, pending: 1 });
    inbox.store.content = () => undefined;
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
    expect((await imported()).sort()).toEqual([1, 3]);
    expect(await inbox.rowsOf(prefixes.pending)).toEqual([]);
  });

  it('that fails is not gone through again, and its checkpoint stays', async () => {
    newInbox(['A', 'B']);
    const pages = new Pages(inbox, { A: [[1]], B: [[2]] });
    await importOnce(inbox);
    const before = await checkpoints();
    pages.begun.length = 0;
    pages.before = (folder) => {
      if (folder === 'A') throw new StoreError('protocol', 'not now');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', error: 'folder "A": not now' });
    expect([pages.begun, await checkpoints()]).toEqual([['A 1', 'B 1'], before]);
  });

  it('at which the line breaks is gone through last by the next run, so that it keeps no other out', async () => {
    newInbox(['A', 'B']);
    const pages = new Pages(inbox, { A: [[1]], B: [[2]] });
    let lost = false;
    pages.before = (folder) => {
      lost ||= folder === 'A';
      if (lost) throw new StoreError('connection', 'the line broke');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', error: 'folder "A": the line broke' });
    lost = false;
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 1 });
    expect([await imported(), pages.begun]).toEqual([[2], ['A 0', 'B 0', 'B 0', 'A 0']]);
  });

  it('of which nobody could note what it held is not imported, and no mail of before comes in later', async () => {
    newInbox(['A', 'B']);
    inbox.account = { ...inbox.account, sinceId: 'now' };
    new Pages(inbox, { A: [[1]], B: [[2]] });
    let away = true;
    changeSession(inbox, () => ({
      end: async (folder) => {
        if (away && folder === 'A') throw new StoreError('protocol', 'not now');
        return { scope: `${folder};1`, item: fakeMail(folder === 'A' ? 1 : 2).item };
      },
    }));
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', error: 'folder "A": not now' });
    expect(await imported()).toEqual([]);
    away = false;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 1 });
  });
});

describe('a checkpoint that is no longer good', () => {
  const refuse = (pages: Pages) => {
    pages.before = () => {
      if (!pages.begun.at(-1)?.endsWith(' 0')) throw new StoreError('resync', 'the token has expired');
    };
  };

  it('is forgotten at once, and the folder gone through from its beginning', async () => {
    const pages = new Pages(inbox, { INBOX: [[1], [2]] });
    await importOnce(inbox);
    refuse(pages);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0 });
    expect(pages.begun).toEqual(['INBOX 0', 'INBOX 2', 'INBOX 0']);
  });

  it('is not come back to where that fails', async () => {
    const pages = new Pages(inbox, { INBOX: [[1], [2]] });
    await importOnce(inbox);
    pages.begun.length = 0;
    pages.before = () => {
      if (pages.begun.length === 1) throw new StoreError('resync', 'the token has expired');
      throw new StoreError('protocol', 'not now');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', error: 'not now' });
    pages.before = () => undefined;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done' });
    expect(pages.begun).toEqual(['INBOX 2', 'INBOX 0', 'INBOX 0']);
  });
});

describe('what another process had in work when it ended', () => {
  it('is tried again after a pause, and not with the others', async () => {
    const pages = new Pages(inbox, { INBOX: [[1, 2]] });
    const lease = await acquireLease(inbox.context, inbox.name, { purpose: 'import', runId: '0'.repeat(16) });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    const source = { store: inbox.store.identity, scope: 'INBOX;1', item: fakeMail(1).item };
    await beginPage({ fence: lease.fence }, `${prefixes.inProgress}${'0'.repeat(16)}:1`, [{ source, folder: 'INBOX' }]);
    await lease.release();
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
    expect([await imported(), pages.begun]).toEqual([[2], ['INBOX 0']]);
    inbox.now += 10 * 60_000;
    await importOnce(inbox);
    expect(await imported()).toEqual([1, 2]);
    expect(await inbox.rowsOf(prefixes.pending)).toEqual([]);
  });
});

describe('a pending mail', () => {
  const pend = async (n: number, state: Partial<PendingState>) => {
    const { item, receivedAt } = fakeMail(n);
    const source = { store: inbox.store.identity, scope: 'INBOX;1', item };
    const mail = { source, folder: 'INBOX', receivedAt };
    await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: 0, reason: 'slow', now: inbox.now, ...state })]);
  };

  it('that took longer than others may wait is tried when they are in', async () => {
    new Pages(inbox, { INBOX: [[1, 2]] });
    await pend(1, { cause: { kind: 'slow' } });
    const asked: string[] = [];
    inbox.store.content = ({ item }) => void asked.push(item);
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2 });
    expect(asked).toEqual([2, 1].map((n) => fakeMail(n).item));
  });

  it('that stands still takes the others no more than a share of the time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    new Pages(inbox, { INBOX: [[1, 2]] });
    await pend(1, {});
    const still = Promise.withResolvers<void>();
    let tries = 0;
    inbox.store.content = ({ item }) => {
      if (item !== fakeMail(1).item) return undefined;
      tries += 1;
      return tries === 1 ? { kind: 'stream', stream: new Readable({ read: () => still.resolve() }) } : undefined;
    };
    const run = importOnce(inbox);
    await still.promise;
    await vi.advanceTimersByTimeAsync(inbox.context.budgetMs / 4);
    expect(await run).toMatchObject({ status: 'done', imported: 2, backlog: 0 });
  });
});

describe('originals', () => {
  it('whose disposal was refused are tried again after the mail of the run', async () => {
    newInbox(['INBOX'], deletes);
    inbox.store.mails = [fakeMail(1)];
    inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no') });
    await importOnce(inbox);
    inbox.store.outcome = () => undefined;
    inbox.store.mails.push(fakeMail(2));
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, disposed: 2 });
    expect(inbox.store.disposed).toEqual([2, 1].map((n) => `delete ${fakeMail(n).item}`));
  });

  it('are done with before the session is closed, though the run fails', async () => {
    newInbox(['INBOX'], { markRead: true });
    const pages = new Pages(inbox, { INBOX: [[1], [2]] });
    const seen: string[] = [];
    const begun = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    changeSession(inbox, ({ dispose }) => ({
      dispose: async (...given) => {
        begun.resolve();
        seen.push('disposal');
        await second.promise;
        // Whatever else is going on has its turn.
        await turns();
        const outcomes = await dispose(...given);
        seen.push('disposed');
        return outcomes;
      },
      close: async () => void seen.push('closed'),
    }));
    pages.before = async (_, page) => {
      if (page === 0) return;
      await begun.promise;
      second.resolve();
      throw new StoreError('throttled', 'slow down');
    };
    expect(await importOnce(inbox)).toMatchObject({ status: 'failed', imported: 1 });
    expect(seen).toEqual(['disposal', 'disposed', 'closed']);
  });
});

describe('an idle run', () => {
  it('reads the turn with what is open beside it, and nothing else; what is known stays known', async () => {
    new Pages(inbox, { INBOX: [[1]] });
    await importOnce(inbox);
    const asked: string[] = [];
    const { rows } = inbox;
    const [range, get] = [rows.range.bind(rows), rows.get.bind(rows)];
    rows.range = (partition, from, before, options) => {
      asked.push(from);
      return range(partition, from, before, options);
    };
    rows.get = async (partition, key, options) => {
      asked.push(key);
      return await get(partition, key, options);
    };
    inbox.now += 1_000;
    for (let run = 0; run < 3; run += 1) await runImport(inbox.context, inbox.name, {});
    expect(asked).toEqual(['turn', 'turn', 'turn']);
    expect((await readTurn(inbox.context, inbox.name)).last).toMatchObject({ status: 'done', backlog: 0 });
  });
});
