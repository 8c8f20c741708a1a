import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { AccountHealth } from '../../accounts/health.ts';
import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { changeSession, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { announceRun, getRun } from '../ledger/runs.ts';
import { askAgain } from '../session/ask-again.ts';
import { acquireLease, leaseHolder } from '../session/lease.ts';
import { readTurn } from '../session/turn-row.ts';
import { Pages, timeMachine } from './pages.test-support.ts';
import { runImport } from './run.ts';

/** What is written down of a run, and whether it goes round once more. */

const options = { signal: new AbortController().signal };
let inbox: TestInbox;
/** What was queued. */
let queued: unknown[];
let logged: Record<string, unknown>[];

function newInbox(folders: readonly string[] = ['INBOX'], rule: Readonly<Record<string, unknown>> = {}): void {
  inbox = new TestInbox(rule, folders);
  queued = [];
  Object.assign(inbox.context, { enqueue: async (_: string, asked: unknown) => void queued.push(asked) });
}

beforeEach(() => {
  newInbox();
  logged = [];
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((text: unknown) => void logged.push(JSON.parse(String(text))));
  }
});
afterEach(() => vi.restoreAllMocks());

const named = (event: string) => logged.filter((line) => line.event === event);
const runRows = () => inbox.rowsOf(prefixes.run);
const turn = () => readTurn(inbox.context, inbox.name);
const accountEvents = () => inbox.eventTypes().filter((type) => type.startsWith('mailroom.account.'));

/** The last run, by its own row. */
async function ownRow() {
  const { last } = await turn();
  return last && (await getRun(inbox.context, inbox.name, last.id, options));
}

/** Asks the run under way to go round once more. Answers its id. */
async function ask(): Promise<string | undefined> {
  const holder = await leaseHolder(inbox.context, inbox.name);
  return (await askAgain(inbox.context, inbox.name, holder?.runId ?? '', options))?.id;
}

/** While its folders are listed for the first time. */
function whileListing(pages: Pages, then: () => unknown): void {
  let done = false;
  pages.before = async () => {
    if (done) return;
    done = true;
    await then();
  };
}

/** Calls `then` once, while the run closes its session. */
function whileClosing(then: () => unknown): void {
  let done = false;
  changeSession(inbox, () => ({
    close: async () => {
      if (done) return;
      done = true;
      await then();
    },
  }));
}

describe('a run that is asked for another round', () => {
  it('by a run that meets it takes in what came meanwhile, as one run', async () => {
    inbox.store.mails = [fakeMail(1)];
    whileClosing(async () => {
      inbox.store.mails.push(fakeMail(2));
      await runImport(inbox.context, inbox.name, {});
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2 });
    expect([inbox.store.sessions, queued, (await runRows()).length]).toEqual([2, [], 1]);
    expect(await ownRow()).toMatchObject({ status: 'done', imported: 2 });
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
  });

  it('goes round once for each time it is asked', async () => {
    whileClosing(ask);
    await importOnce(inbox);
    expect(inbox.store.sessions).toBe(2);
    await importOnce(inbox);
    expect(inbox.store.sessions).toBe(3);
  });

  it('is under way until it has done that, for whoever looks', async () => {
    await importOnce(inbox);
    let id: string | undefined;
    whileClosing(async () => {
      inbox.store.mails.push(fakeMail(1));
      id = await ask();
    });
    const seen: unknown[] = [];
    const { rows } = inbox;
    rows.onWrite = async (_, writes) => {
      if (writes.some(({ kind, key }) => kind === 'insert' && key.startsWith(prefixes.ledger)))
        seen.push((await getRun(inbox.context, inbox.name, String(id), options))?.status);
    };
    expect(await importOnce(inbox)).toMatchObject({ id, status: 'done', imported: 1 });
    expect([seen, (await ownRow())?.status]).toEqual([['running'], 'done']);
  });

  it('has ended for whoever asked, though nothing was found', async () => {
    await importOnce(inbox);
    let id: string | undefined;
    whileClosing(async () => {
      id = await ask();
    });
    await importOnce(inbox);
    expect(await ownRow()).toMatchObject({ id, status: 'done', imported: 0 });
  });

  it('and has no time for it leaves it to a continuation', async () => {
    const pages = new Pages(inbox, { INBOX: [[1]] });
    await importOnce(inbox);
    const pass = timeMachine(inbox);
    whileListing(pages, async () => {
      await ask();
      pass(0.85);
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', backlog: 0 });
    expect([inbox.store.sessions, queued]).toEqual([2, [{}]]);
  });

  it('and leaves mail behind does that in one continuation', async () => {
    const pages = new Pages(inbox, { INBOX: [[1]] });
    const pass = timeMachine(inbox);
    whileListing(pages, async () => {
      await ask();
      pass(0.85);
    });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', backlog: 1 });
    expect([inbox.store.sessions, queued]).toEqual([1, [{}]]);
  });

  it('and fails says so to whoever asked, and is the last one', async () => {
    let id: string | undefined;
    inbox.store.failure = () => {
      throw new StoreError('connection', 'gone');
    };
    whileClosing(async () => {
      id = await ask();
    });
    expect(await importOnce(inbox)).toMatchObject({ id, status: 'failed', error: 'gone' });
    expect(await ownRow()).toMatchObject({ id, status: 'failed', error: 'gone' });
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
  });
});

describe('a run has a row of its own', () => {
  it('where it was promised, though it found nothing', async () => {
    await importOnce(inbox);
    inbox.now += 1_000;
    const { id } = await announceRun(inbox.context, inbox.name);
    await runImport(inbox.context, inbox.name, { runId: id });
    expect(await ownRow()).toMatchObject({ id, status: 'done', imported: 0 });
  });

  it('where it left mail behind, though it took none in', async () => {
    const pages = new Pages(inbox, { INBOX: [[], [1]] });
    pages.before = (_, page) => {
      if (page > 0) throw new StoreError('protocol', 'not now');
    };
    await importOnce(inbox);
    const pass = timeMachine(inbox);
    pages.before = () => pass(0.85);
    const { id } = await importOnce(inbox);
    expect(await ownRow()).toMatchObject({ id, status: 'done', imported: 0, backlog: 1 });
  });

  it('where it disposed of an original, though it took no mail in', async () => {
    newInbox(['INBOX'], { delete: 'immediately', deleteMode: 'permanent' });
    inbox.store.mails = [fakeMail(1)];
    inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no') });
    await importOnce(inbox);
    inbox.store.outcome = () => undefined;
    inbox.now += 10 * 60_000;
    const { id } = await importOnce(inbox);
    expect(await ownRow()).toMatchObject({ id, status: 'done', imported: 0, disposed: 1 });
  });
});

describe('what waits', () => {
  /** A run that leaves two mails behind. */
  async function leaveMail(): Promise<Pages> {
    const pages = new Pages(inbox, { INBOX: [[1], [2, 3]] });
    const pass = timeMachine(inbox);
    pages.before = async (_, page) => {
      if (page !== 1) return;
      // The first page is being fetched.
      await turns();
      pass(0.85);
    };
    await importOnce(inbox);
    pages.before = () => undefined;
    return pages;
  }

  it('is in the log when a run has left it, and once more when it is in', async () => {
    await leaveMail();
    await importOnce(inbox);
    await importOnce(inbox);
    expect(named('inbox.backlog').map(({ mails }) => mails)).toEqual([2, 0]);
  });

  it('is known still when the next run fails', async () => {
    const pages = await leaveMail();
    pages.before = () => {
      throw new StoreError('connection', 'gone');
    };
    for (let run = 0; run < 2; run += 1) {
      expect(await importOnce(inbox)).toMatchObject({
        ...{ status: 'failed', backlog: 2, oldestWaitingAt: fakeMail(2).receivedAt },
      });
    }
  });
});

describe('the account', () => {
  const missing = (folder: string) => {
    if (folder === 'Missing') throw new StoreError('folderMissing', 'no such folder');
  };
  beforeEach(() => newInbox(['Missing', 'INBOX']));

  it('fails once while a folder fails, and has recovered when none does', async () => {
    inbox.store.failure = missing;
    await importOnce(inbox);
    await importOnce(inbox);
    expect(accountEvents()).toEqual(['mailroom.account.failing']);
    inbox.store.failure = () => undefined;
    await importOnce(inbox);
    await importOnce(inbox);
    expect(accountEvents()).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });

  it('has recovered where another process had called it failing a moment ago', async () => {
    await importOnce(inbox);
    const { rows, events, clock } = inbox.context;
    const lease = await acquireLease(inbox.context, inbox.name, { purpose: 'import', runId: newestFirstId(inbox.now) });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    await new AccountHealth(rows, events, clock).failing(inbox.name, 'store', { code: 'AUTH' });
    await lease.release();
    await importOnce(inbox);
    expect(accountEvents()).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });

  it('is not called failing by a run that was overtaken', async () => {
    inbox.store.failure = () => {
      throw new StoreError('connection', 'gone');
    };
    whileClosing(async () => {
      await inbox.rows.write(inbox.name, [{ kind: 'merge', key: 'turn', columns: { leaseOwner: 'another' } }]);
    });
    await runImport(inbox.context, inbox.name, {});
    expect(accountEvents()).toEqual([]);
    expect((await runRows()).map(({ columns }) => columns.status)).toEqual(['failed']);
  });

  it('has many folders that fail: what a run says of them is cut', async () => {
    newInbox(['A', 'B', 'C', 'INBOX']);
    inbox.store.failure = (folder) => {
      if (folder !== 'INBOX') throw new StoreError('folderMissing', 'x'.repeat(280));
    };
    const { status, error } = await importOnce(inbox);
    expect([status, error?.length]).toEqual(['done', 500]);
  });
});

describe('a continuation', () => {
  it('of a run of one folder is of that folder', async () => {
    newInbox(['A', 'B']);
    const pages = new Pages(inbox, { A: [[1]], B: [[2]] });
    const pass = timeMachine(inbox);
    pages.before = () => pass(0.85);
    await runImport(inbox.context, inbox.name, { folder: 'B' });
    expect([queued, pages.begun]).toEqual([[{ folder: 'B' }], ['B 0']]);
  });
});

describe('a run that is asked to go round once more, and finds no connection', () => {
  it.each([[true], [false]])('waits on the queue with what it did; another one waits: %s', async (waits) => {
    inbox.store.mails = [fakeMail(1)];
    const open = inbox.store.open.bind(inbox.store);
    let opened = 0;
    inbox.store.open = async (given) => {
      opened += 1;
      if (opened === 2) throw new StoreError('noConnection', 'all in use', { retryAfterMs: 7_000 });
      return await open(given);
    };
    let id = '';
    whileClosing(async () => {
      id = String(await ask());
      inbox.now += 1_000;
      if (waits) await announceRun(inbox.context, inbox.name);
    });
    await runImport(inbox.context, inbox.name, {});
    const run = () => getRun(inbox.context, inbox.name, id, options);
    expect(await run()).toMatchObject({ status: 'running', begun: false, imported: 1 });
    expect(queued).toEqual([{ runId: id, delayMs: 7_000 }]);
    inbox.store.mails.push(fakeMail(2));
    await runImport(inbox.context, inbox.name, { runId: id });
    expect(await run()).toMatchObject({ status: 'done', imported: 2 });
    expect(named('inbox.run')).toMatchObject([{ run: id, imported: 2 }]);
  });
});
