import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bounceMail } from '../../../test/support/bounce-mail.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import type { MailContent } from '../../adapters/mail-content.ts';
import { StoreError } from '../../adapters/store.ts';
import { assetPaths } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import { leftoverPrefix, leftoverRow } from '../../assets/leftover-row.ts';
import type { Bounce } from '../../outbox/bounces/mark-bounced.ts';
import { accountId } from '../../platform/ids.ts';
import { dayStats } from '../../stats/stats.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, ledgerKey, prefixes, singleKeys } from '../keys.ts';
import { removeLeftovers } from '../ledger/leftovers.ts';
import { zombieMs } from '../ledger/pages-in-progress.ts';
import { maxAttempts, pendingRow, quarantinePath } from '../ledger/pending.ts';
import { takenBy } from '../session/lease.test-support.ts';
import { leaseHolder } from '../session/lease.ts';
import { QuarantinedMails } from './quarantined-mails.ts';
import { replay } from './replay.ts';

const options = { signal: new AbortController().signal };
const own = fakeMail(1);
const gone = new DOMException('The caller is gone', 'AbortError');

afterEach(() => vi.restoreAllMocks());

/** A quarantined mail; `kept`: with its bytes. */
async function quarantined(kept: boolean, bytes = own.bytes) {
  const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
  inbox.store.mails = [{ ...own, bytes }];
  const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: own.item };
  const mail = { source, folder: 'INBOX', size: bytes.length, receivedAt: own.receivedAt };
  await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: maxAttempts, reason: 'no', now: 0 })]);
  inbox.store.content = () => (kept ? undefined : { kind: 'broken', reason: 'noContent' });
  await runImport(inbox.context, inbox.name, {});
  inbox.store.content = () => undefined;
  inbox.now += 60_000;
  const localId = assetLocalId(inbox.name, source);
  const id = accountId(inbox.name, localId);
  const mails = new QuarantinedMails(inbox.context);
  return {
    inbox,
    id,
    mails,
    row: { asset: localId, ledger: ledgerKey(source) },
    mime: quarantinePath(inbox.name, localId),
    paths: assetPaths(inbox.name, id),
    replay: (context = inbox.context, asked = options) => replay(context, mails, id, asked),
    asset: () => new AssetBlobs(inbox.context.assets).describe(inbox.name, id, options.signal),
    ledger: async () => (await inbox.rowsOf(prefixes.ledger))[0]?.columns,
  };
}

type Stage = Awaited<ReturnType<typeof quarantined>>;

async function expectAsset({ inbox, asset, ledger, mime, paths, row }: Stage): Promise<void> {
  expect(await asset()).toMatchObject({ messageId: '<1@example.net>', importedAt: new Date(inbox.now).toISOString() });
  expect(inbox.assets.text(paths.message)).toBe(own.bytes.toString());
  expect(await ledger()).toMatchObject({
    state: 'imported',
    importedAt: inbox.now,
    size: own.bytes.length,
    messageId: '<1@example.net>',
    keepOriginal: true,
    todoEvent: false,
    todoDispose: false,
  });
  expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined', 'mailroom.mail.imported']);
  expect((await inbox.rowsOf('a:')).map(({ columns }) => columns)).toEqual([row]);
  const { clock, dayCounts } = inbox.context;
  const [today] = await dayStats({ clock, counts: [dayCounts] }, [inbox.name], { days: 1, ...options });
  expect(today).toMatchObject({ imported: 1, bytes: own.bytes.length, quarantined: 1 });
  for (const prefix of [prefixes.quarantine, prefixes.inProgress, prefixes.unfinished]) {
    expect(await inbox.rowsOf(prefix)).toEqual([]);
  }
  expect(inbox.quarantine.text(mime)).toBeUndefined();
  expect([inbox.store.mails, inbox.store.disposed]).toEqual([[own], []]);
  // Nobody holds the account any more.
  expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
}

/** Another run ends the page of whoever writes a blob next. */
function overtakenAsItWrites(inbox: TestInbox): void {
  inbox.assets.onRequest = async () => {
    inbox.assets.onRequest = () => undefined;
    for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
      await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
    }
  };
}

describe('a mail whose bytes are kept', () => {
  it('becomes the asset that it was to be, without its server or its account, and its original stays', async () => {
    const stage = await quarantined(true);
    const context = { ...stage.inbox.context, account: async () => undefined, store: async () => undefined };
    const { sessions } = stage.inbox.store;
    await stage.replay(context);
    await expectAsset(stage);
    expect(stage.inbox.store.sessions).toBe(sessions);
    expect(await refusalOf(stage.replay())).toMatchObject({ reason: 'notFound' });
    // Nothing that an import does with it afterwards.
    await runImport(stage.inbox.context, stage.inbox.name, {});
    expect([stage.inbox.store.mails, stage.inbox.eventTypes().length]).toEqual([[own], 2]);
  });

  it.each([
    ['none', 'Subject: no id\r\n\r\nText', undefined],
    ['a very long one', `Message-ID: <${'i'.repeat(600)}@example.com>\r\n\r\nText`, `<${'i'.repeat(499)}`],
  ])('may have %s for its Message-ID', async (_, text, messageId) => {
    const { replay, ledger } = await quarantined(true, Buffer.from(text));
    await replay();
    const columns = await ledger();
    expect([columns?.state, columns?.messageId]).toEqual(['imported', messageId]);
  });

  it('that is a bounce is passed on to its message before anybody hears of it, if need be by a later import', async () => {
    const bytes = bounceMail({ messageId: '<sent@example.com>', recipient: 'anna@example.org' });
    const { inbox, id, replay, ledger } = await quarantined(true, bytes);
    const messageRecord = 'sender.0123456789abcdefghijklm';
    const marked: Bounce[] = [];
    let isTaken = false;
    const mark = async (bounce: Bounce) => {
      marked.push(bounce);
      return isTaken;
    };
    const context = { ...inbox.context, bounces: { find: async () => messageRecord, mark } };
    await replay(context);
    expect(marked).toMatchObject([{ asset: id, messageRecord, failed: [{ address: 'anna@example.org' }] }]);
    expect(await ledger()).toMatchObject({ state: 'imported', todoBounce: true, todoEvent: true });
    expect([inbox.queued, inbox.eventTypes()]).toEqual([[inbox.name], ['mailroom.mail.quarantined']]);
    isTaken = true;
    inbox.now += 60_000;
    await runImport(context, inbox.name, {});
    expect(await ledger()).toMatchObject({ todoBounce: false, todoEvent: false });
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined', 'mailroom.mail.imported']);
  });

  it('whose bytes are gone is refused, and is no attempt', async () => {
    const { inbox, mime, replay, ledger } = await quarantined(true);
    await inbox.quarantine.client.deleteBlob(mime);
    expect(await refusalOf(replay())).toMatchObject({
      reason: 'conflict',
      message: 'The bytes of this mail are gone.',
    });
    expect((await ledger())?.state).toBe('quarantined');
    expect((await inbox.rowsOf(prefixes.quarantine))[0]?.columns.attempts).toBe(maxAttempts);
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
  });

  it('stays as it was where storage is away, and what was written of it is removed later', async () => {
    const { inbox, replay, ledger } = await quarantined(true);
    inbox.assets.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(replay()).rejects.toThrow('storage is away');
    expect((await ledger())?.state).toBe('quarantined');
    expect((await inbox.rowsOf(prefixes.quarantine))[0]?.columns.attempts).toBe(maxAttempts);
    expect([await inbox.rowsOf(prefixes.inProgress), (await inbox.rowsOf(leftoverPrefix)).length]).toEqual([[], 1]);
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
  });

  it('of which only a part could be written leaves nothing of it', async () => {
    const { inbox, replay, paths } = await quarantined(true);
    inbox.assets.onRequest = (_, path) => {
      if (path === paths.description) throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(replay()).rejects.toThrow('storage is away');
    expect(inbox.assets.names()).toEqual([paths.message]);
    inbox.assets.onRequest = () => undefined;
    inbox.now += zombieMs;
    await removeLeftovers(inbox.context, options);
    expect(inbox.assets.names()).toEqual([]);
  });

  it('keeps what is written of it, should what an earlier replay left be removed at that moment', async () => {
    const stage = await quarantined(true);
    const { inbox, paths, row } = stage;
    await inbox.rows.write(inbox.name, [leftoverRow('earlier', [row], 0)]);
    inbox.assets.onRequest = async (_, path) => {
      if (path !== paths.description) return;
      inbox.assets.onRequest = () => undefined;
      await removeLeftovers(inbox.context, options);
    };
    await stage.replay();
    await expectAsset(stage);
  });

  it('that others have changed meanwhile is refused, and not committed', async () => {
    const { inbox, id, mails, replay, ledger } = await quarantined(true);
    inbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind, key }) => kind === 'replace' && key.startsWith(prefixes.ledger))) return;
      inbox.rows.onWrite = () => undefined;
      await mails.delete(id, options);
    };
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
    expect([(await ledger())?.state, await inbox.rowsOf('a:')]).toEqual(['deleted', []]);
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined']);
  });

  it('of a replay that was overtaken is not committed', async () => {
    const { inbox, replay, ledger } = await quarantined(true);
    overtakenAsItWrites(inbox);
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
    expect((await ledger())?.state).toBe('quarantined');
  });

  it('of a replay that was overtaken leaves what the other has written', async () => {
    const { inbox, replay, paths } = await quarantined(true);
    inbox.assets.put(paths.message, 'of the other');
    overtakenAsItWrites(inbox);
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
    expect(inbox.assets.text(paths.message)).toBe('of the other');
  });

  it('whose event is still to be published is refused', async () => {
    const { inbox, replay } = await quarantined(true);
    const [row] = await inbox.rowsOf(prefixes.ledger);
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { todoEvent: true } }]);
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
  });

  it('whose import event cannot be published now has it published by the next import', async () => {
    const stage = await quarantined(true);
    const { inbox, ledger } = stage;
    const events = {
      publish: async () => {
        throw new Error('the queue is away');
      },
    };
    await expect(stage.replay({ ...inbox.context, events })).rejects.toThrow('the queue is away');
    expect(await ledger()).toMatchObject({ state: 'imported', todoEvent: true });
    await runImport(inbox.context, inbox.name, {});
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined', 'mailroom.mail.imported']);
    expect((await ledger())?.todoEvent).toBe(false);
  });
});

describe('a replay', () => {
  it('has the account for itself, and hears of the end of the process, as long as it lasts', async () => {
    const { inbox, replay } = await quarantined(true);
    const ears = () => getEventListeners(inbox.context.shutdown.stopping, 'abort').length;
    const seen: unknown[] = [];
    inbox.assets.onRequest = async () => {
      inbox.assets.onRequest = () => undefined;
      seen.push((await leaseHolder(inbox.context, inbox.name))?.purpose, ears());
    };
    await replay();
    expect([...seen, await leaseHolder(inbox.context, inbox.name), ears()]).toEqual(['replay', 1, undefined, 0]);
  });

  it('waits for somebody else who works on the account', async () => {
    const stage = await quarantined(true);
    const { inbox } = stage;
    const lease = await takenBy(inbox, { runId: 'another', purpose: 'import' });
    const get = inbox.rows.get.bind(inbox.rows);
    const asked = vi.spyOn(inbox.rows, 'get').mockImplementation(async (partition, key, given) => {
      const row = await get(partition, key, given);
      if (key === singleKeys.turn) {
        asked.mockRestore();
        await lease.release();
      }
      return row;
    });
    await stage.replay();
    await expectAsset(stage);
  });

  it('does not wait for ever: who works on the account is named', async () => {
    const { inbox, replay, ledger } = await quarantined(true);
    await takenBy(inbox, { runId: 'another', purpose: 'import' });
    let now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => {
      now += 31_000;
      return now;
    });
    const message = 'The account is busy (import); try again when that has ended.';
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict', message });
    expect((await ledger())?.state).toBe('quarantined');
  });

  it('ends when its caller goes away', async () => {
    const { inbox, replay, ledger } = await quarantined(true);
    const caller = new AbortController();
    inbox.rows.onWrite = () => caller.abort(gone);
    await expect(replay(inbox.context, { signal: caller.signal })).rejects.toBe(gone);
    expect((await ledger())?.state).toBe('quarantined');
    expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
  });
});

describe('a mail whose bytes are not kept', () => {
  it.each<[string, MailContent]>([
    ['in one piece', { kind: 'bytes', bytes: own.bytes }],
    ['as a stream', { kind: 'stream', stream: Readable.from([own.bytes]) }],
  ])('is asked for at its server, which gives it %s', async (_, content) => {
    const stage = await quarantined(false);
    stage.inbox.store.content = () => content;
    await stage.replay();
    await expectAsset(stage);
  });

  it('becomes an asset of what the server has in its place, which says so', async () => {
    const { inbox, replay, asset } = await quarantined(false);
    const subject = 'Retrieval using the IMAP4 protocol failed for the following message: 752';
    const note = `From: Microsoft Exchange Server 2010\r\nSubject: ${subject}\r\n\r\nIt could not be retrieved.\r\n`;
    inbox.store.content = () => ({ kind: 'bytes', bytes: Buffer.from(note) });
    await replay();
    expect(await asset()).toMatchObject({ subject, defects: expect.arrayContaining(['substitute']) });
  });

  it('is not waited for when its caller has gone away, and that is no attempt', async () => {
    const { inbox, id, mails, replay } = await quarantined(false);
    const caller = new AbortController();
    const open = inbox.store.open.bind(inbox.store);
    inbox.store.open = async (given) => ({
      ...(await open(given)),
      fetch: async function* (_, { signal }) {
        caller.abort(gone);
        signal.throwIfAborted();
        yield* [];
      },
    });
    await expect(replay(inbox.context, { signal: caller.signal })).rejects.toBe(gone);
    expect((await mails.get(id, options)).attempts).toBe(maxAttempts);
  });

  it.each<[string, MailContent, string]>([
    ['gives nothing', { kind: 'gone' }, 'The server does not have this mail any more: there is nothing to check in.'],
    ['refuses', { kind: 'broken', reason: 'refused', code: 'NO' }, 'The server refuses to give this mail (NO).'],
  ])('stays where the server %s, which is one attempt more or none', async (_, content, message) => {
    const { inbox, replay, ledger } = await quarantined(false);
    inbox.store.content = () => content;
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict', message });
    expect((await ledger())?.state).toBe('quarantined');
    expect((await inbox.rowsOf(prefixes.quarantine))[0]?.columns).toMatchObject({
      attempts: maxAttempts,
      reason: 'no',
    });
  });

  it('that still cannot be read counts one attempt more, with its reason', async () => {
    const { inbox, id, mails, replay, ledger } = await quarantined(false);
    const before = await mails.get(id, options);
    inbox.store.content = () => ({ kind: 'bytes', bytes: own.bytes, doubt: () => 'otherMail' });
    const refusal = await refusalOf(replay());
    expect(refusal.reason).toBe('conflict');
    expect(refusal.message).toMatch(/^It still cannot be checked in: /);
    expect((await ledger())?.state).toBe('quarantined');
    const after = await mails.get(id, options);
    expect(after).toEqual({ ...before, attempts: maxAttempts + 1, reason: after.reason });
    expect(after.reason).not.toBe(before.reason);
    expect(refusal.message).toContain(after.reason);
  });

  it.each([
    ['is away', new StoreError('connection', 'no answer', { retryAfterMs: 5_000 }), 'unavailable'],
    ['has no connection to spare', new StoreError('noConnection', 'all in use'), 'conflict'],
  ])('stays where its server %s', async (_, error, reason) => {
    const { inbox, replay, ledger } = await quarantined(false);
    inbox.store.open = async () => {
      throw error;
    };
    expect(await refusalOf(replay())).toMatchObject({ reason });
    expect((await ledger())?.state).toBe('quarantined');
  });

  it('stays where its account is disabled', async () => {
    const { inbox, replay } = await quarantined(false);
    Object.assign(inbox.account.account, { enabled: false });
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
  });
});
