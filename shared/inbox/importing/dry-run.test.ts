import { beforeEach, describe, expect, it } from 'vitest';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { acquireLease } from '../session/lease.ts';
import { type DryRunItem, dryRun } from './dry-run.ts';

const signal = AbortSignal.timeout(120_000);
const dayMs = 86_400_000;

const preview = async (inbox: TestInbox, folder?: string) =>
  await dryRun(inbox.context, inbox.name, { ...(folder === undefined ? {} : { folder }), signal });

/** What the server says of its mails otherwise. */
function listed(inbox: TestInbox, change: (mail: ListedMail) => ListedMail): void {
  const { open } = inbox.store;
  inbox.store.open = async (options) => {
    const session = await open.call(inbox.store, options);
    const { changes } = session;
    session.changes = async function* (...asked) {
      for await (const page of changes(...asked)) yield { ...page, mails: page.mails.map(change) };
    };
    return session;
  };
}

describe('what an import would do with a mail', () => {
  let inbox: TestInbox;
  const first = async (): Promise<DryRunItem | undefined> => (await preview(inbox)).items[0];

  beforeEach(() => {
    inbox = new TestInbox();
    inbox.store.mails = [fakeMail(1)];
  });

  it('is told with what the server says of it, and changes nothing', async () => {
    listed(inbox, (mail) => ({ ...mail, subject: 'Mail 1' }));
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
  });
});

describe('a dry run', () => {
  it('lists a thousand mails at most, over all folders', async () => {
    const inbox = new TestInbox({}, ['A', 'B', 'C']);
    inbox.store.mails = Array.from({ length: 450 }, (_, n) => fakeMail(n + 1));
    const { items } = await preview(inbox);
    const count = (folder: string) => items.filter((item) => item.folder === folder).length;
    expect([items.length, count('A'), count('B'), count('C')]).toEqual([1_000, 450, 450, 100]);
  });

  it('of one folder asks for no other', async () => {
    const inbox = new TestInbox({}, ['A', 'B']);
    inbox.store.mails = [fakeMail(1)];
    expect((await preview(inbox, 'B')).items.map(({ folder }) => folder)).toEqual(['B']);
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
    const waiting = preview(inbox);
    if ('release' in lease) await lease.release();
    expect((await waiting).items).toHaveLength(1);
  });
});
