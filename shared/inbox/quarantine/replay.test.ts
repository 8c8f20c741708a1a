import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import type { MailContent } from '../../adapters/mail-content.ts';
import { StoreError } from '../../adapters/store.ts';
import { assetPaths } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { accountId } from '../../platform/ids.ts';
import { runImport } from '../importing/run.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, prefixes } from '../keys.ts';
import { maxAttempts, pendingRow, quarantinePath } from '../ledger/pending.ts';
import { leaseHolder } from '../session/lease.ts';
import { QuarantinedMails } from './quarantined-mails.ts';
import { replay } from './replay.ts';

const options = { signal: AbortSignal.timeout(120_000) };
const own = fakeMail(1);

/** A quarantined mail; `kept`: with its bytes. */
async function quarantined(kept: boolean) {
  const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
  inbox.store.mails = [own];
  const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: own.item };
  const mail = { source, folder: 'INBOX', size: own.bytes.length, receivedAt: own.receivedAt };
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
    mime: quarantinePath(inbox.name, localId),
    paths: assetPaths(inbox.name, id),
    replay: (context = inbox.context) => replay(context, mails, id, options),
    asset: () => new AssetBlobs(inbox.context.assets).describe(inbox.name, id, options.signal),
    ledger: async () => (await inbox.rowsOf(prefixes.ledger))[0]?.columns,
  };
}

type Stage = Awaited<ReturnType<typeof quarantined>>;

async function expectAsset({ inbox, asset, ledger, mime, paths }: Stage): Promise<void> {
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
  expect(await inbox.rowsOf('a:')).toHaveLength(1);
  for (const prefix of [prefixes.quarantine, prefixes.inProgress, prefixes.unfinished]) {
    expect(await inbox.rowsOf(prefix)).toEqual([]);
  }
  expect(inbox.quarantine.text(mime)).toBeUndefined();
  expect([inbox.store.mails, inbox.store.disposed]).toEqual([[own], []]);
  // Nobody holds the account any more.
  expect(await leaseHolder(inbox.context, inbox.name)).toBeUndefined();
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
    inbox.assets.onRequest = async () => {
      inbox.assets.onRequest = () => undefined;
      for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
        await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
      }
    };
    expect(await refusalOf(replay())).toMatchObject({ reason: 'conflict' });
    expect((await ledger())?.state).toBe('quarantined');
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

describe('a mail whose bytes are not kept', () => {
  it('is asked for at its server', async () => {
    const stage = await quarantined(false);
    await stage.replay();
    await expectAsset(stage);
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
    const { inbox, replay, ledger } = await quarantined(false);
    inbox.store.content = () => ({ kind: 'bytes', bytes: own.bytes, doubt: () => 'otherMail' });
    const refusal = await refusalOf(replay());
    expect(refusal.reason).toBe('conflict');
    expect(refusal.message).toMatch(/^It still cannot be checked in: /);
    expect((await ledger())?.state).toBe('quarantined');
    const columns = (await inbox.rowsOf(prefixes.quarantine))[0]?.columns;
    expect(columns?.attempts).toBe(maxAttempts + 1);
    expect(refusal.message).toContain(String(columns?.reason));
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
