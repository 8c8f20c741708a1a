import { beforeEach, describe, expect, it } from 'vitest';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { type ListedMail, StoreError, type StoreSession } from '../../adapters/store.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { acquireLease } from '../session/lease.ts';
import { type DryRunItem, dryRun } from './dry-run.ts';

const signal = new AbortController().signal;
const dayMs = 86_400_000;

const preview = async (inbox: TestInbox, folder?: string) =>
  await dryRun(inbox.context, inbox.name, { ...(folder === undefined ? {} : { folder }), signal });

/** What the server says of its mails otherwise; `details`: whether it was asked for all it says in a listing. */
function listed(inbox: TestInbox, change: (mail: ListedMail, details: boolean) => ListedMail): void {
  onSession(inbox, (session) => {
    const { changes } = session;
    session.changes = async function* (folder, checkpoint, options) {
      for await (const page of changes(folder, checkpoint, options)) {
        yield { ...page, mails: page.mails.map((mail) => change(mail, options.details === true)) };
      }
    };
  });
}

/** Changes each session before it is used. */
function onSession(inbox: TestInbox, change: (session: StoreSession) => void): void {
  const { open } = inbox.store;
  inbox.store.open = async (options) => {
    const session = await open.call(inbox.store, options);
    change(session);
    return session;
  };
}

/** The account imports what comes from now on; what the folder holds is noted by an import. */
async function fromNowOn(inbox: TestInbox): Promise<void> {
  inbox.account = { ...inbox.account, sinceId: 'now' };
  await importOnce(inbox);
}

describe('what an import would do with a mail', () => {
  let inbox: TestInbox;
  const first = async (): Promise<DryRunItem | undefined> => (await preview(inbox)).items[0];

  beforeEach(() => {
    inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
  });

  it('is told with what the server says of it, and changes nothing', async () => {
    listed(inbox, (mail, details) => (details ? { ...mail, subject: 'Mail 1' } : mail));
    const before = [await inbox.rowsOf(''), inbox.events, inbox.store.disposed];
    const { bytes, receivedAt } = fakeMail(1);
    expect(await preview(inbox)).toEqual({
      items: [
        {
          ...{ folder: 'INBOX', sourceId: expect.stringContaining(fakeMail(1).item), messageId: '<1@example.net>' },
          ...{ subject: 'Mail 1', receivedAt: new Date(receivedAt).toISOString(), size: bytes.length },
          ...{ action: 'import', reason: 'new', disposal: 'none' },
        },
      ],
    });
    // But for the turn, which it gave back.
    const rows = (await inbox.rowsOf('')).filter(({ key }) => key !== 'turn');
    expect([rows, inbox.events, inbox.store.disposed]).toEqual(before);
    expect(inbox.assets.text('')).toBeUndefined();
  });

  it('is told without what the server does not say', async () => {
    listed(inbox, ({ source, folder }) => ({ source, folder }));
    expect(await first()).toMatchObject({
      messageId: null,
      subject: null,
      receivedAt: null,
      size: null,
      action: 'import',
    });
  });

  it('is to skip it where it is known, a draft, or older than the account imports', async () => {
    await importOnce(inbox);
    inbox.store.scopeName = 'INBOX;7';
    await inbox.rows.write(inbox.name, [
      ...(await inbox.rowsOf('c:')).map(({ key }) => ({ kind: 'delete' as const, key })),
    ]);
    inbox.store.mails = [1, 2, 3, 4].map(fakeMail);
    listed(inbox, (mail) => (mail.source.item === fakeMail(2).item ? { ...mail, draft: true } : mail));
    inbox.account = { ...inbox.account, sinceAt: fakeMail(4).receivedAt };
    const { items } = await preview(inbox);
    expect(items.map(({ action, reason, disposal }) => [action, reason, disposal])).toEqual([
      ['skip', 'already imported', 'none'],
      ['skip', 'a draft', 'none'],
      ['skip', 'received before the account imports', 'none'],
      ['import', 'new', 'none'],
    ]);
  });

  it('is to skip one that its headers alone tell to be older than the account imports', async () => {
    inbox.store.mails = [1, 2].map(fakeMail);
    const { receivedAt } = fakeMail(2);
    inbox.account = { ...inbox.account, sinceAt: receivedAt };
    listed(inbox, ({ source, folder }) => ({ source, folder }));
    onSession(inbox, (session) => {
      session.receivedTimes = async (mails) =>
        new Map(mails.map((mail) => [mail, mail.source.item === fakeMail(1).item ? receivedAt - 1 : receivedAt]));
    });
    expect((await preview(inbox)).items).toMatchObject([
      {
        receivedAt: new Date(receivedAt - 1).toISOString(),
        action: 'skip',
        reason: 'received before the account imports',
      },
      { receivedAt: new Date(receivedAt).toISOString(), action: 'import' },
    ]);
  });

  it('is to skip what the folder held when the account began, and to import what came since, however old it is', async () => {
    inbox.store.mails = [2, 5].map(fakeMail);
    await fromNowOn(inbox);
    const moved = { ...fakeMail(7), receivedAt: fakeMail(1).receivedAt };
    inbox.store.mails = [...inbox.store.mails, moved];
    inbox.store.resync = () => {
      throw new StoreError('resync', 'the checkpoint is no longer good');
    };
    const { items } = await preview(inbox);
    expect(items.map(({ action, reason }) => [action, reason])).toEqual([
      ['skip', 'received before the account imports'],
      ['skip', 'received before the account imports'],
      ['import', 'new'],
    ]);
  });

  it('is to retry one that has failed', async () => {
    inbox.store.content = () => ({ kind: 'broken', reason: 'notMail' });
    await importOnce(inbox);
    await inbox.rows.write(inbox.name, [
      ...(await inbox.rowsOf('c:')).map(({ key }) => ({ kind: 'delete' as const, key })),
    ]);
    expect(await first()).toMatchObject({ action: 'retry', reason: 'failed before' });
  });

  it('is to take the headers alone of one that is larger than the account takes', async () => {
    const { length } = fakeMail(1).bytes;
    Object.assign(inbox.account.account.import, { maxMessageSize: length });
    expect((await first())?.action).toBe('import');
    Object.assign(inbox.account.account.import, { maxMessageSize: length - 1 });
    expect(await first()).toMatchObject({ action: 'importHeaders', reason: 'larger than maxMessageSize' });
  });
});

describe('what would become of the original', () => {
  it.each([
    [{}, 'none', 'none'],
    [{ markRead: true }, 'mark read', 'mark read'],
    [{ delete: 'immediately', deleteMode: 'permanent' }, 'delete (permanent)', 'none'],
    [{ markRead: true, delete: 'immediately', deleteMode: 'trash' }, 'mark read, delete (trash)', 'mark read'],
    [{ delete: { afterDays: 7 } }, 'delete (permanent) at DATE', 'none'],
    [{ markRead: true, moveTo: 'Done' }, 'mark read, move to Done', 'mark read'],
    [{ moveTo: 'Done' }, 'move to Done', 'none'],
  ])('%j: %s; where only its headers are taken: %s', async (rule, whole, headers) => {
    const inbox = new TestInbox(rule);
    inbox.store.mails = [fakeMail(1)];
    const date = new Date(inbox.now + 7 * dayMs).toISOString();
    const disposal = async () => (await preview(inbox)).items[0]?.disposal;
    expect(await disposal()).toBe(whole.replace('DATE', date));
    Object.assign(inbox.account.account.import, { maxMessageSize: 1 });
    expect(await disposal()).toBe(headers);
    // Of one that is left out nothing becomes.
    listed(inbox, (mail) => ({ ...mail, draft: true }));
    expect(await disposal()).toBe('none');
  });
});

describe('a dry run', () => {
  it('lists a thousand mails at most, over all folders', async () => {
    const inbox = new TestInbox({}, ['A', 'B', 'C', 'D']);
    inbox.store.mails = Array.from({ length: 450 }, (_, n) => fakeMail(n + 1));
    const { items } = await preview(inbox);
    const count = (folder: string) => items.filter((item) => item.folder === folder).length;
    expect([items.length, ...['A', 'B', 'C', 'D'].map(count)]).toEqual([1_000, 450, 450, 100, 0]);
  });

  it('of one folder asks for no other', async () => {
    const inbox = new TestInbox({}, ['A', 'B']);
    inbox.store.mails = [fakeMail(1)];
    expect((await preview(inbox, 'B')).items.map(({ folder }) => folder)).toEqual(['B']);
  });

  it('goes through the other folders where one fails, and says which', async () => {
    const inbox = new TestInbox({}, ['Lost', 'B']);
    inbox.store.mails = [fakeMail(1)];
    inbox.store.failure = (folder) => {
      if (folder === 'Lost') throw new StoreError('connection', 'the line broke');
    };
    const { items, error } = await preview(inbox);
    expect(items.map(({ folder }) => folder)).toEqual(['B']);
    expect(error).toMatch(/"Lost": the line broke/);
  });

  it('goes through a folder from its beginning only where its checkpoint is no longer good', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
    await importOnce(inbox);
    expect((await preview(inbox)).items).toEqual([]);
    inbox.store.resync = () => {
      throw new StoreError('resync', 'the checkpoint is no longer good');
    };
    expect((await preview(inbox)).items.map(({ reason }) => reason)).toEqual(['already imported']);
    inbox.store.resync = () => {
      throw new StoreError('connection', 'the line broke');
    };
    await expect(preview(inbox)).rejects.toThrow('the line broke');
    inbox.store.resync = () => {
      throw new Error('a mistake of ours');
    };
    await expect(preview(inbox)).rejects.toThrow('a mistake of ours');
  });

  it('is refused where nobody could import', async () => {
    const inbox = new TestInbox();
    Object.assign(inbox.account.account, { enabled: false });
    expect(await refusalOf(preview(inbox))).toMatchObject({ reason: 'conflict' });
  });

  it('waits for an import under way', async () => {
    const inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
    const lease = await acquireLease(inbox.context, inbox.name, { runId: 'one', purpose: 'import' });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    const waiting = preview(inbox);
    await lease.release();
    expect((await waiting).items).toHaveLength(1);
  });
});
