import { afterEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { jsonColumns } from '../../platform/rows.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { pageKeys, prefixes, singleKeys } from '../keys.ts';
import { acquireLease } from '../session/lease.ts';
import { runImport } from './run.ts';
import { sweepAll } from './sweep.ts';

afterEach(() => vi.restoreAllMocks());

const options = { signal: new AbortController().signal };

async function swept(inbox: TestInbox): Promise<void> {
  inbox.now += 60_000;
  await sweepAll(inbox.context, options);
}

async function importedOnce(folders?: readonly string[]): Promise<TestInbox> {
  const inbox = new TestInbox({}, folders);
  inbox.store.mails = [fakeMail(5)];
  await runImport(inbox.context, inbox.name, {});
  return inbox;
}

const messageIds = async (inbox: TestInbox) =>
  (await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.messageId);

describe('the sweep', () => {
  it('imports what lies behind the checkpoint, once, and leaves the checkpoint as it is', async () => {
    const inbox = await importedOnce();
    const checkpoint = (await inbox.rowsOf(prefixes.checkpoint))[0]?.columns;
    inbox.store.mails.unshift(fakeMail(3));
    await runImport(inbox.context, inbox.name, {});
    expect(await messageIds(inbox)).toEqual(['<5@example.net>']);
    await swept(inbox);
    await swept(inbox);
    expect(await messageIds(inbox)).toEqual(['<3@example.net>', '<5@example.net>']);
    expect(inbox.eventTypes()).toEqual(Array(2).fill('mailroom.mail.imported'));
    expect((await inbox.rowsOf(prefixes.checkpoint))[0]?.columns).toEqual(checkpoint);
  });

  it('takes many missing mails in pages', async () => {
    const inbox = await importedOnce();
    inbox.store.mails = Array.from({ length: 60 }, (_, n) => fakeMail(n));
    const sizes: number[] = [];
    inbox.rows.onWrite = (_, writes) => {
      sizes.push(writes.length);
    };
    await swept(inbox);
    expect(await messageIds(inbox)).toHaveLength(60);
    // Storage takes no more in one transaction.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
  });

  it('asks storage no more often where many mails are known than where one is', async () => {
    const requests = async (mails: number) => {
      const inbox = await importedOnce();
      inbox.store.mails = Array.from({ length: mails }, (_, n) => fakeMail(n + 5));
      await runImport(inbox.context, inbox.name, {});
      expect(await messageIds(inbox)).toHaveLength(mails);
      const before = inbox.rows.requests;
      await swept(inbox);
      return inbox.rows.requests - before;
    };
    expect(await requests(60)).toBe(await requests(1));
  });

  it('knows a mail that has a new id again, by what a listing says where it is asked for all of it', async () => {
    const inbox = await importedOnce();
    inbox.store.scopeName = 'INBOX;8';
    const { open } = inbox.store;
    inbox.store.open = async (given) => {
      const session = await open.call(inbox.store, given);
      const { list } = session;
      session.list = async function* (folder, how) {
        for await (const page of list(folder, how)) {
          yield how.details ? page : page.map(({ source }) => ({ source, folder }));
        }
      };
      return session;
    };
    await swept(inbox);
    expect(await inbox.rowsOf(prefixes.ledger)).toMatchObject([{ columns: { scope: 'INBOX;8' } }]);
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported']);
  });

  it('never concludes that a mail is gone', async () => {
    const inbox = await importedOnce();
    inbox.store.mails = [];
    await swept(inbox);
    expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns.state)).toEqual(['imported']);
  });

  it('leaves pending mail to the imports', async () => {
    const inbox = await importedOnce();
    inbox.store.mails.unshift(fakeMail(3));
    let fetched = 0;
    inbox.store.content = () => {
      fetched += 1;
      return { kind: 'broken', reason: 'notMail' };
    };
    await swept(inbox);
    await swept(inbox);
    expect(fetched).toBe(1);
    expect(await inbox.rowsOf(prefixes.pending)).toMatchObject([{ columns: { attempts: 1 } }]);
  });

  it('ends pages that a process left', async () => {
    const inbox = await importedOnce();
    const { inProgress } = pageKeys(newestFirstId(inbox.now), 1);
    const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: fakeMail(3).item };
    await inbox.rows.write(inbox.name, [
      { kind: 'put', key: inProgress, columns: jsonColumns([{ source, folder: 'INBOX' }]) },
    ]);
    await swept(inbox);
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
    expect(await inbox.rowsOf(prefixes.pending)).toHaveLength(1);
  });

  it('imports nothing of a folder that the first import from now on has not met', async () => {
    const inbox = new TestInbox();
    inbox.account = { ...inbox.account, sinceId: 'now' };
    inbox.store.mails = [fakeMail(1)];
    await swept(inbox);
    expect([await messageIds(inbox), await inbox.rowsOf(prefixes.startingPoint)]).toEqual([[], []]);
  });

  it.each([
    ['disabled', { enabled: false }],
    ['without a store', { store: undefined }],
  ])('passes over an account that is %s', async (_, change) => {
    const inbox = await importedOnce();
    Object.assign(inbox.account.account, change);
    const before = inbox.store.sessions;
    await swept(inbox);
    expect(inbox.store.sessions).toBe(before);
  });

  it('leaves an account that is leased all the time to the next night, and one that is gone at its turn for good', async () => {
    const inbox = await importedOnce();
    const lease = await acquireLease(inbox.context, inbox.name, { runId: 'other', purpose: 'import' });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    const warned: unknown[] = [];
    vi.spyOn(console, 'warn').mockImplementation((line: unknown) => {
      warned.push(JSON.parse(String(line)));
    });
    // More time passes each time that anybody asks than the sweep waits.
    let elapsedMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      elapsedMs += 600_000;
      return elapsedMs;
    });
    await sweepAll(inbox.context, options);
    expect(warned).toEqual([{ event: 'inbox.accountsBusy', task: 'sweep', accounts: 1 }]);
    await lease.release();
    await sweepAll({ ...inbox.context, account: async () => undefined }, options);
    expect(warned).toHaveLength(1);
  });

  it('waits for an account that is leased', async () => {
    const inbox = await importedOnce();
    const lease = await acquireLease(inbox.context, inbox.name, { runId: 'other', purpose: 'import' });
    if (!('release' in lease)) return expect.fail('the lease is not free');
    const before = inbox.store.sessions;
    const cut = new AbortController();
    const asked = Promise.withResolvers<void>();
    const range = inbox.rows.range.bind(inbox.rows);
    inbox.rows.range = async function* (...given) {
      yield* range(...given);
      if (given[1] === singleKeys.turn) asked.resolve();
    };
    const waiting = sweepAll(inbox.context, { signal: cut.signal });
    await asked.promise;
    cut.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(inbox.store.sessions).toBe(before);
    await lease.release();
  });
});

describe('trouble in a sweep', () => {
  const failing = (inbox: TestInbox) =>
    inbox.events.filter(({ type }) => type === 'mailroom.account.failing').map(({ data }) => data);

  it('of one folder keeps no other out, and the account is failing', async () => {
    const inbox = await importedOnce(['INBOX', 'Missing']);
    inbox.store.mails.unshift(fakeMail(3));
    inbox.store.failure = (folder) => {
      if (folder === 'Missing') throw new StoreError('folderMissing', 'no such folder');
    };
    await swept(inbox);
    expect(await messageIds(inbox)).toEqual(['<3@example.net>', '<5@example.net>']);
    expect(failing(inbox)).toMatchObject([{ side: 'store', code: 'folderMissing' }]);
  });

  it('with the connection at one folder is that folder’s, where another one is gone through after it', async () => {
    const inbox = await importedOnce(['Lost', 'INBOX']);
    inbox.store.mails.unshift(fakeMail(3));
    inbox.store.failure = (folder) => {
      if (folder === 'Lost') throw new StoreError('connection', 'the line broke');
    };
    await swept(inbox);
    expect(await messageIds(inbox)).toEqual(['<3@example.net>', '<5@example.net>']);
    expect(failing(inbox)).toMatchObject([{ code: 'connection', hint: 'folder "Lost": the line broke' }]);
  });

  it('is not told of a sweep that had none', async () => {
    const inbox = await importedOnce();
    const errors = vi.spyOn(console, 'error');
    await swept(inbox);
    expect(errors.mock.calls).toEqual([]);
  });

  it.each([
    [
      'the hint of a wrong password',
      new StoreError('signIn', 'no', { code: 'WRONG', hint: 'Look at it' }),
      [{ side: 'store', code: 'WRONG', hint: 'Look at it' }],
    ],
    ['the kind where there is no code', new StoreError('connection', 'no'), [{ side: 'store', code: 'connection' }]],
    ['nothing where the provider throttles', new StoreError('throttled', 'slow down'), []],
    ['nothing where the error is ours', new Error('storage is away'), []],
  ])('tells %s', async (_, error, told) => {
    const inbox = await importedOnce();
    inbox.store.open = async () => {
      throw error;
    };
    await swept(inbox);
    expect(failing(inbox)).toEqual(told.map((trouble) => ({ ...trouble, since: expect.any(String) })));
  });
});
