import { describe, expect, it } from 'vitest';
import { StoreError } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { jsonColumns } from '../../platform/rows.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { pageKeys, prefixes, singleKeys } from '../keys.ts';
import { acquireLease } from '../session/lease.ts';
import { runImport } from './run.ts';
import { sweepAll } from './sweep.ts';

const options = { signal: AbortSignal.timeout(120_000) };

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
    await swept(inbox);
    expect(await messageIds(inbox)).toHaveLength(60);
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

  it('waits for an account that is leased', async () => {
    const inbox = await importedOnce();
    const lease = await acquireLease(inbox.context, inbox.name, { runId: 'other', purpose: 'import' });
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
    if ('release' in lease) await lease.release();
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
    expect(failing(inbox)).toMatchObject([{ code: 'folderMissing' }]);
  });

  it.each([
    ['the hint of a wrong password', new StoreError('signIn', 'no', { code: 'WRONG', hint: 'Look at it' }), ['WRONG']],
    ['the kind where there is no code', new StoreError('connection', 'no'), ['connection']],
    ['nothing where the provider throttles', new StoreError('throttled', 'slow down'), []],
    ['nothing where the error is ours', new Error('storage is away'), []],
  ])('tells %s', async (_, error, codes) => {
    const inbox = await importedOnce();
    inbox.store.open = async () => {
      throw error;
    };
    await swept(inbox);
    expect(failing(inbox).map(({ code }) => code)).toEqual(codes);
  });
});
