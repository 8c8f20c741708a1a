import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { BrokenMail, type MailContent } from '../../adapters/mail-content.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import { assetLocalId, prefixes } from '../keys.ts';
import { maxAttempts, pendingRow, quarantinePath } from '../ledger/pending.ts';
import { listRuns } from '../ledger/runs.ts';
import { runImport } from './run.ts';

const signal = AbortSignal.timeout(120_000);
const own = fakeMail(1);

/** An inbox with one mail that has failed so often. */
async function failed(attempts = maxAttempts) {
  const inbox = new TestInbox({ delete: 'immediately', deleteMode: 'permanent' });
  inbox.store.mails = [own];
  const source = { store: inbox.store.identity, scope: inbox.store.scopeName, item: own.item };
  const mail: ListedMail = { source, folder: 'INBOX', size: own.bytes.length, receivedAt: own.receivedAt };
  const reason = 'x'.repeat(400);
  await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts, reason, now: 0 })]);
  const path = quarantinePath(inbox.name, assetLocalId(inbox.name, source));
  return { inbox, mail, path };
}

async function importNow(inbox: TestInbox) {
  inbox.now += 60_000;
  await runImport(inbox.context, inbox.name, {});
  return (await listRuns(inbox.context, inbox.name, { signal, top: 1 }))[0];
}

const sha256 = createHash('sha256').update(own.bytes).digest('hex');

describe('a mail that has failed too often', () => {
  it.each(['bytes', 'stream'] as const)('is quarantined with its %s, unread, and its original stays', async (kind) => {
    const { inbox, path } = await failed();
    inbox.store.content = () =>
      kind === 'bytes' ? undefined : { kind, stream: Readable.from([own.bytes.subarray(0, 9), own.bytes.subarray(9)]) };
    expect(await importNow(inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 1 });
    expect(inbox.quarantine.text(path)).toBe(own.bytes.toString());
    expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns)).toMatchObject([
      { state: 'quarantined', size: own.bytes.length, sha256, keepOriginal: true, todoEvent: false },
    ]);
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns)).toMatchObject([
      { reason: 'x'.repeat(300), attempts: maxAttempts, hasMime: true, folder: 'INBOX', at: inbox.now },
    ]);
    for (const prefix of [prefixes.pending, prefixes.inProgress, prefixes.unfinished, 'a:']) {
      expect(await inbox.rowsOf(prefix)).toEqual([]);
    }
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.quarantined']);
    expect([inbox.store.mails, inbox.store.disposed]).toEqual([[own], []]);
  });

  it.each<[string, () => MailContent]>([
    ['gives nothing', () => ({ kind: 'gone' })],
    ['gives no mail', () => ({ kind: 'broken', reason: 'noContent' })],
    [
      'breaks off',
      () => ({
        kind: 'stream',
        stream: Readable.from(
          (async function* () {
            yield own.bytes.subarray(0, 9);
            throw new BrokenMail('wentAway');
          })(),
        ),
      }),
    ],
  ])('is quarantined without its bytes where the server %s', async (_, content) => {
    const { inbox, path } = await failed();
    inbox.store.content = content;
    expect(await importNow(inbox)).toMatchObject({ status: 'done', quarantined: 1 });
    expect(inbox.quarantine.text(path)).toBeUndefined();
    expect((await inbox.rowsOf(prefixes.quarantine)).map(({ columns }) => columns.hasMime)).toEqual([false]);
    expect((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => columns)).toMatchObject([
      { size: 0, sha256: '', listedSize: own.bytes.length, receivedAt: own.receivedAt },
    ]);
  });

  it('stays pending where storage is away', async () => {
    const { inbox } = await failed();
    inbox.quarantine.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    expect(await importNow(inbox)).toMatchObject({ status: 'failed', quarantined: 0 });
    expect(await inbox.rowsOf(prefixes.quarantine)).toEqual([]);
    expect(await inbox.rowsOf(prefixes.pending)).toHaveLength(1);
  });

  it('that is an asset by now is not: its pending row goes', async () => {
    const { inbox, mail } = await failed(0);
    expect(await importNow(inbox)).toMatchObject({ imported: 1 });
    await inbox.rows.write(inbox.name, [pendingRow(mail, { attempts: maxAttempts, reason: '', now: 0 })]);
    inbox.store.content = () => expect.unreachable('fetched');
    expect(await importNow(inbox)).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
    expect([await inbox.rowsOf(prefixes.pending), await inbox.rowsOf(prefixes.quarantine)]).toEqual([[], []]);
  });

  it('is one that failed five times, and no fewer', async () => {
    const { inbox } = await failed(maxAttempts - 1);
    expect(await importNow(inbox)).toMatchObject({ imported: 1, quarantined: 0 });
  });

  it('whose event could not be published has it published by the next run', async () => {
    const { inbox } = await failed();
    const publish = inbox.context.events.publish;
    let away = true;
    const events = {
      publish: async (...args: Parameters<typeof publish>) => {
        if (away) throw new Error('the queue is away');
        await publish(...args);
      },
    };
    await runImport({ ...inbox.context, events }, inbox.name, {});
    expect(await inbox.rowsOf(prefixes.unfinished)).toHaveLength(1);
    away = false;
    await importNow(inbox);
    expect(inbox.eventTypes().filter((type) => type === 'mailroom.mail.quarantined')).toHaveLength(1);
    expect(await inbox.rowsOf(prefixes.unfinished)).toEqual([]);
  });
});
