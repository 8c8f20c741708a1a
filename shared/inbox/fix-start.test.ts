import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StoreError } from '../adapters/store.ts';
import { fixStart } from './fix-start.ts';
import { type FakeMail, fakeMail, importOnce, TestInbox } from './inbox.test-support.ts';
import { prefixes } from './keys.ts';

/** What an account with `since: "now"` finds in its mailbox when it is saved. */

const signal = new AbortController().signal;
const warning = [{ pointer: '/import/since', detail: expect.stringContaining('could not be asked yet') }];
let inbox: TestInbox;

beforeEach(() => {
  vi.spyOn(console, 'warn').mockReturnValue(undefined);
  inbox = new TestInbox({ since: 'now' });
  inbox.account = { ...inbox.account, sinceAt: inbox.now, sinceId: 'first', fromStart: false };
  inbox.store.mails = [1, 2].map(fakeMail);
});
afterEach(() => vi.restoreAllMocks());

const fix = () => fixStart(inbox.context, inbox.name, { signal });

it('is never imported, and what comes afterwards is', async () => {
  expect(await fix()).toEqual([]);
  inbox.store.mails.push({ ...fakeMail(3), receivedAt: inbox.now + 1_000 });
  expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
  expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.messageId)).toContain('<3@example.net>');
});

it('is noted once: where it is known, no server is asked', async () => {
  await fix();
  const { sessions } = inbox.store;
  expect([await fix(), inbox.store.sessions]).toEqual([[], sessions]);
  // Another "now" is another moment.
  inbox.account = { ...inbox.account, sinceId: 'second' };
  expect([await fix(), inbox.store.sessions]).toEqual([[], sessions + 1]);
});

it('is noted of a folder that is added, and not once more of those there were', async () => {
  inbox = new TestInbox({ since: 'now' }, ['INBOX', 'Archive']);
  inbox.account = { ...inbox.account, sinceAt: inbox.now, sinceId: 'first', fromStart: false };
  const later = (n: number) => ({ ...fakeMail(n), receivedAt: inbox.now + n });
  const mails: Record<string, FakeMail[]> = { INBOX: [fakeMail(1)], Archive: [fakeMail(2)] };
  inbox.store.failure = (folder) => {
    inbox.store.mails = mails[folder] ?? [];
    inbox.store.scopeName = folder;
  };
  const setFolders = (...folders: string[]) => Object.assign(inbox.account.account.store ?? {}, { folders });
  setFolders('INBOX');
  expect(await fix()).toEqual([]);
  mails.INBOX?.push(later(3));
  setFolders('INBOX', 'Archive');
  expect(await fix()).toEqual([]);
  mails.Archive?.push(later(4));
  await importOnce(inbox);
  const imported = (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.messageId);
  expect(imported.toSorted()).toEqual(['<3@example.net>', '<4@example.net>']);
});

it('is not asked for where the account is no longer from now on', async () => {
  await fix();
  const { sessions } = inbox.store;
  inbox.account = { ...inbox.account, sinceAt: undefined, sinceId: undefined };
  expect([await fix(), inbox.store.sessions]).toEqual([[], sessions]);
});

it('is not asked for, nor warned of, where the account is disabled meanwhile', async () => {
  let asked = 0;
  const account = async () => {
    asked += 1;
    return { ...inbox.account, account: { ...inbox.account.account, enabled: asked === 1 } };
  };
  expect(await fixStart({ ...inbox.context, account }, inbox.name, { signal })).toEqual([]);
  expect([asked, inbox.store.sessions]).toEqual([2, 0]);
});

it.each([
  ['is not from now on', () => Object.assign(inbox.account, { sinceId: undefined })],
  ['is disabled', () => Object.assign(inbox.account.account, { enabled: false })],
  ['has no store', () => Object.assign(inbox.account.account, { store: null })],
])('is not asked for where the account %s', async (_, change) => {
  change();
  expect([await fix(), inbox.store.sessions]).toEqual([[], 0]);
});

it('is not asked for where the account is gone', async () => {
  expect(await fixStart({ ...inbox.context, account: async () => undefined }, inbox.name, { signal })).toEqual([]);
  expect(inbox.store.sessions).toBe(0);
});

it.each([
  ['is away', new StoreError('connection', 'no answer')],
  ['has no connection to spare', new StoreError('noConnection', 'all in use', { retryAfterMs: 1_000 })],
])('is left to the first run where the server %s, with a warning', async (_, error) => {
  inbox.store.open = async () => {
    throw error;
  };
  expect(await fix()).toEqual(warning);
});

it('is left to the first run where storage is away', async () => {
  inbox.rows.onWrite = () => {
    throw new Error('storage is away');
  };
  expect(await fix()).toEqual(warning);
});

it('a caller that has gone is told so', async () => {
  const gone = AbortSignal.abort(new Error('the caller has gone'));
  await expect(fixStart(inbox.context, inbox.name, { signal: gone })).rejects.toThrow('the caller has gone');
});
