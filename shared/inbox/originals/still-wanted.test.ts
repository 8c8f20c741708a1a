import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bounceMail } from '../../../test/support/bounce-mail.ts';
import { StoreError } from '../../adapters/store.ts';
import { runImport } from '../importing/run.ts';
import { changeSession, fakeMail, TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { runAccountRetention } from './retention.ts';

/** Only what is still to do is done, as the rule of this moment says, and whoever comes next knows what was done. */

const options = { signal: new AbortController().signal };
const dayMs = 24 * 3_600_000;
const removes = { delete: 'immediately', deleteMode: 'permanent' };
const trashes = { markRead: true, delete: 'immediately', deleteMode: 'trash' };
const later = { delete: { afterDays: 1 }, deleteMode: 'permanent' };
const [one, two] = [fakeMail(1).item, fakeMail(2).item];
let inbox: TestInbox;

beforeEach(() => {
  for (const level of ['info', 'warn', 'error'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
});
afterEach(() => vi.restoreAllMocks());

function withMails(rule: Readonly<Record<string, unknown>>, count = 2): void {
  inbox = new TestInbox(rule);
  inbox.store.mails = Array.from({ length: count }, (_, n) => fakeMail(n + 1));
}

async function importNow(context = inbox.context): Promise<void> {
  inbox.now += 60_000;
  await runImport(context, inbox.name, {});
}

async function retain(): Promise<number | 'leased'> {
  inbox.now += dayMs;
  return await runAccountRetention(inbox.context, inbox.name, options);
}

const ledger = () => inbox.rowsOf(prefixes.ledger);
const columnOf = async (name: string) => (await ledger()).map(({ columns }) => columns[name]);
const count = async (prefix: string) => (await inbox.rowsOf(prefix)).length;
const disposedEvents = () =>
  inbox.events.filter(({ type }) => type === 'mailroom.mail.disposed').map(({ data }) => data);
/** Mails that were told of; a repeat has the same id, and counts once. */
const imported = () =>
  new Set(inbox.events.flatMap(({ type, subject }) => (type === 'mailroom.mail.imported' ? [subject] : []))).size;

/** Writes columns of the ledger row of a mail. */
async function change(item: string, columns: Record<string, string | boolean>): Promise<void> {
  const row = (await ledger()).find((each) => each.columns.item === item);
  await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns }]);
}

/** The line breaks at whatever is asked for. */
const breaks = () => {
  throw new StoreError('connection', 'the line broke');
};

/** The process ends at whatever is asked for. */
const ends = () => {
  throw new TypeError('the process ended');
};

/** From now on, the rule changes as soon as a session is open. */
function changesMeanwhile(rule: Readonly<Record<string, unknown>>): void {
  changeSession(inbox, () => {
    inbox.rule = rule;
    return {};
  });
}

describe('a page of which a part is done', () => {
  beforeEach(async () => {
    withMails(removes);
    inbox.store.outcome = ends;
    await importNow();
    inbox.store.outcome = () => undefined;
    await change(one, { todoDispose: false, disposing: false, disposed: 'gone' });
  });

  it('has only the rest done', async () => {
    await importNow();
    expect(inbox.store.disposed).toEqual([`delete ${two}`]);
    expect([await columnOf('disposed'), await count(prefixes.unfinished)]).toEqual([['gone', 'done'], 0]);
    expect(disposedEvents()).toHaveLength(1);
  });

  it('has the rest of its events published while the server is away', async () => {
    inbox.events.length = 0;
    await change(two, { todoEvent: true });
    await change(one, { todoEvent: false });
    inbox.store.failure = breaks;
    await importNow();
    expect(imported()).toBe(1);
  });

  it('keeps what is known of that part where the rule wants nothing any more', async () => {
    changesMeanwhile({ delete: 'never' });
    await change(one, { disposing: true });
    await importNow();
    expect(inbox.store.disposed).toEqual([]);
    expect(await columnOf('disposed')).toEqual(['gone', 'uncertain']);
    expect(disposedEvents()).toHaveLength(1);
  });
});

describe('a deletion that is due', () => {
  beforeEach(async () => {
    withMails(later);
    await importNow();
  });

  it('does not happen to an original that is to be kept since', async () => {
    await change(one, { keepOriginal: true });
    expect(await retain()).toBe(1);
    expect(inbox.store.disposed).toEqual([`delete ${two}`]);
    expect([await columnOf('disposed'), await count(prefixes.due)]).toEqual([['canceled', 'done'], 0]);
  });

  it('does not happen where the rule changed a moment before, and is canceled', async () => {
    changesMeanwhile({ delete: 'never' });
    expect(await retain()).toBe(0);
    expect(inbox.store.disposed).toEqual([]);
    expect([await columnOf('disposed'), await count(prefixes.due)]).toEqual([['canceled', 'canceled'], 0]);
  });
});

it('a move that may have been done is told of as a move', async () => {
  withMails({ moveTo: 'Done' }, 1);
  inbox.store.outcome = ends;
  await importNow();
  changesMeanwhile({});
  await importNow();
  expect(disposedEvents()).toEqual([expect.objectContaining({ action: 'move', outcome: 'uncertain' })]);
});

describe('what had no answer', () => {
  async function goneAtTheSecondTry(): Promise<void> {
    inbox.store.outcome = breaks;
    await importNow();
    inbox.store.mails = [];
    inbox.store.outcome = () => undefined;
    await retain();
  }

  it('and is found gone was removed by us, also where it was to be marked first', async () => {
    withMails(trashes, 1);
    await goneAtTheSecondTry();
    expect(disposedEvents()).toEqual([expect.objectContaining({ action: 'delete', outcome: 'done' })]);
    expect(await columnOf('disposed')).toEqual(['done']);
  });

  it('and is found gone was not removed by us where it was only to be marked', async () => {
    withMails({ markRead: true }, 1);
    await goneAtTheSecondTry();
    expect([disposedEvents(), await columnOf('disposed')]).toEqual([[], ['gone']]);
  });
});

describe('a bounce that cannot be passed on yet', () => {
  const mark = vi.fn<TestInbox['context']['bounces']['mark']>();
  const context = () => ({ ...inbox.context, bounces: { find: async () => 'sender.0123456789abcdefghijklm', mark } });

  beforeEach(() => {
    withMails(removes);
    const bytes = bounceMail({ messageId: '<sent@example.com>', recipient: 'anna@example.org' });
    inbox.store.mails = [{ ...fakeMail(1), bytes }, fakeMail(2)];
    mark.mockReset().mockResolvedValue(false);
  });

  it('keeps its event and all originals of its page for later', async () => {
    await importNow(context());
    expect([imported(), inbox.store.disposed, await count(prefixes.unfinished)]).toEqual([1, [], 1]);
    mark.mockResolvedValue(true);
    await importNow(context());
    expect([imported(), inbox.store.disposed.length, await count(prefixes.unfinished)]).toEqual([2, 2, 0]);
  });

  it('is not forgotten by a run that finds it still so', async () => {
    await importNow(context());
    await importNow(context());
    expect([imported(), inbox.store.disposed]).toEqual([1, []]);
    mark.mockReset().mockResolvedValue(true);
    await importNow(context());
    expect(mark).toHaveBeenCalledOnce();
    expect([imported(), inbox.store.disposed.length]).toEqual([2, 2]);
  });
});

it('an original of which the server said nothing is not taken for removed', async () => {
  withMails(removes);
  changeSession(inbox, ({ dispose }) => ({
    dispose: async (targets, ...how) => await dispose(targets.slice(0, 1), ...how),
  }));
  await importNow();
  expect(await columnOf('disposed')).toEqual(['done', 'mismatch']);
  expect(disposedEvents()).toContainEqual(expect.objectContaining({ outcome: 'dropped', reason: 'mismatch' }));
});

it('a row that somebody else wrote during the disposal is left to them', async () => {
  withMails(removes);
  changeSession(inbox, ({ dispose }) => ({
    dispose: async (...asked) => {
      const [holder] = await inbox.rowsOf(prefixes.unfinished);
      await inbox.rows.write(inbox.name, [{ kind: 'merge', key: holder?.key ?? '', columns: { notedBy: 'another' } }]);
      return await dispose(...asked);
    },
  }));
  await importNow();
  expect(inbox.store.disposed).toHaveLength(2);
  expect(await inbox.rowsOf(prefixes.unfinished)).toMatchObject([{ columns: { notedBy: 'another' } }]);
  expect(await columnOf('disposing')).toEqual([true, true]);
});

describe('a retention', () => {
  it('goes on behind rows that stand for nothing any more', async () => {
    withMails(later, 40);
    await importNow();
    const gone = (await ledger()).slice(0, 35).map(({ key }) => ({ kind: 'delete' as const, key }));
    await inbox.rows.write(inbox.name, gone);
    expect(await retain()).toBe(5);
    expect(await count(prefixes.due)).toBe(0);
  });

  it('drops all originals of a server that was left, and asks the new one nothing', async () => {
    withMails(later, 40);
    await importNow();
    Object.assign(inbox.store, { identity: 'imap:another' });
    let asked = 0;
    changeSession(inbox, ({ dispose }) => ({
      dispose: async (...what) => {
        asked += 1;
        return await dispose(...what);
      },
    }));
    expect(await retain()).toBe(0);
    expect([asked, await count(prefixes.dropped), await count(prefixes.due)]).toEqual([0, 40, 0]);
  });

  it('asks nothing more on a line that broke, also of what a run has left', async () => {
    withMails({ ...later, markRead: true }, 1);
    inbox.store.outcome = ends;
    await importNow();
    expect(await count(prefixes.unfinished)).toBe(1);
    const asked: string[] = [];
    inbox.store.outcome = (_, { action }) => {
      asked.push(action);
      return breaks();
    };
    await retain();
    expect(asked).toEqual(['delete']);
    expect(await count(prefixes.unfinished)).toBe(1);
  });

  it('fails where storage fails, and says so', async () => {
    withMails(later);
    await importNow();
    inbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(retain()).rejects.toThrow('storage is away');
  });
});

it('a long reason of a refusal is cut', async () => {
  withMails(removes, 1);
  inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no '.repeat(1_000)) });
  await importNow();
  const [row] = await inbox.rowsOf(prefixes.refused);
  expect(String(row?.columns.reason)).toHaveLength(300);
});

it('disposals of a disabled account fail no more: it has recovered', async () => {
  withMails(removes, 1);
  inbox.store.outcome = () => ({ refused: new StoreError('protocol', 'no', { code: 'NOPERM' }) });
  await importNow();
  for (let n = 0; n < 3; n += 1) await retain();
  const accountEvents = () => inbox.eventTypes().filter((type) => type.startsWith('mailroom.account.'));
  expect(accountEvents()).toEqual(['mailroom.account.failing']);
  Object.assign(inbox.account.account, { enabled: false });
  await retain();
  expect(await count(prefixes.refused)).toBe(0);
  expect(accountEvents()).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
});
