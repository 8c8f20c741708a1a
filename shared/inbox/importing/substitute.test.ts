import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { BrokenMail } from '../../adapters/mail-content.ts';
import { assetPaths } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { accountId } from '../../platform/ids.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { fingerprintPrefix, prefixes } from '../keys.ts';
import { moveReplacement } from './move-replacement.ts';
import { runImport } from './run.ts';

/** A note of the server stands in for a mail, until the server gives the mail itself. */

const signal = AbortSignal.timeout(120_000);
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const text = (lines: readonly string[]) => Buffer.from(lines.join('\r\n'));

const mail = text([
  'From: sender@example.com',
  'Subject: The very mail',
  'Message-ID: <very@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  '',
  'words',
  '--b',
  'Content-Disposition: attachment; filename=a.txt',
  '',
  'the attachment',
  '--b--',
  '',
]);

const note = text([
  'From: Microsoft Exchange Server 2010',
  'Subject: Retrieval using the IMAP4 protocol failed for the following message: 20004',
  '',
  'The server could not retrieve the following message.',
  '',
]);

async function importLater(inbox: TestInbox, ms = 10 * minuteMs): Promise<void> {
  inbox.now += ms;
  await runImport(inbox.context, inbox.name, {});
}

/** An inbox with the asset of a note; `given` is what the server gives from now on. */
async function imported(rule: Readonly<Record<string, unknown>> = {}) {
  const inbox = new TestInbox(rule);
  inbox.store.mails = [{ item: '0000000001', bytes: mail, receivedAt: inbox.now }];
  const server = { given: (): Buffer => note };
  inbox.store.content = () => ({ kind: 'bytes', bytes: server.given() });
  await importLater(inbox);
  const ledger = async () => (await inbox.rowsOf(prefixes.ledger))[0];
  const id = accountId(inbox.name, String((await ledger())?.columns.asset));
  const paths = assetPaths(inbox.name, id);
  const describeAsset = () => new AssetBlobs(inbox.context.assets).describe(inbox.name, id, signal);
  return { inbox, server, ledger, id, paths, describeAsset, pending: () => inbox.rowsOf(prefixes.pending) };
}

type Stage = Awaited<ReturnType<typeof imported>>;

/** What a reader gets is the note, or the mail, and is what its description says. */
async function readAsset({ inbox, paths, describeAsset }: Stage): Promise<'note' | 'mail'> {
  const asset = await describeAsset();
  const message = inbox.assets.text(asset?.messagePath ?? paths.message);
  const isMail = message === mail.toString();
  expect(isMail || message === note.toString()).toBe(true);
  expect(asset?.size).toBe(message?.length);
  expect(asset?.defects.includes('substitute')).toBe(!isMail);
  expect(asset?.attachments.map(({ path }) => inbox.assets.text(path))).toEqual(isMail ? ['the attachment'] : []);
  return isMail ? 'mail' : 'note';
}

describe('a note in place of a mail', () => {
  it('is an asset whose original stays, and is asked for again after growing pauses', async () => {
    const stage = await imported({ delete: 'immediately', deleteMode: 'permanent' });
    const { inbox, pending } = stage;
    expect(await readAsset(stage)).toBe('note');
    const before = (await pending())[0]?.columns;
    await importLater(inbox);
    const after = (await pending())[0]?.columns;
    expect([before?.cause, after?.cause]).toEqual(['substitute', 'substitute']);
    expect(Number(after?.attempts)).toBe(Number(before?.attempts) + 1);
    expect([inbox.store.disposed, inbox.eventTypes()]).toEqual([[], ['mailroom.mail.imported']]);
    // An attempt that only finds the note again writes nothing of the asset.
    expect(await inbox.rowsOf(leftoverPrefix)).toEqual([]);
  });

  it('gives its place to the mail: the same id and time, no blob of the note, another event, and the rule', async () => {
    const stage = await imported({ delete: 'immediately', deleteMode: 'permanent' });
    const { inbox, server, ledger, paths, describeAsset, pending } = stage;
    const before = await describeAsset();
    server.given = () => mail;
    await importLater(inbox);
    expect(await readAsset(stage)).toBe('mail');
    const after = await describeAsset();
    expect([after?.id, after?.importedAt]).toEqual([before?.id, before?.importedAt]);
    expect(after?.messagePath).toBeUndefined();
    expect(inbox.assets.names(paths.folder)).toEqual([paths.description, paths.attachment(1, 'a.txt'), paths.message]);
    expect((await ledger())?.columns).toMatchObject({ messageId: '<very@example.com>', keepOriginal: false });
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported', 'mailroom.mail.imported', 'mailroom.mail.disposed']);
    expect(inbox.store.disposed).toEqual(['delete 0000000001']);
    expect(await pending()).toEqual([]);
    // Found by its own Message-ID, and no longer by that of the note, which has none.
    expect([
      (await inbox.rowsOf(fingerprintPrefix('<very@example.com>'))).length,
      (await inbox.rowsOf(fingerprintPrefix(undefined))).length,
    ]).toEqual([1, 0]);
  });

  it('is deleted N days after the mail itself came, not after the note', async () => {
    const stage = await imported({ delete: { afterDays: 3 } });
    const { inbox, server, ledger } = stage;
    expect((await ledger())?.columns.dueAt).toBeUndefined();
    server.given = () => mail;
    await importLater(inbox, dayMs);
    expect((await ledger())?.columns.dueAt).toBe(inbox.now + 3 * dayMs);
    expect(await inbox.rowsOf(prefixes.due)).toHaveLength(1);
  });

  it.each([
    ['only within a week', 7 * dayMs - minuteMs, 'mail'],
    ['and never after it', 7 * dayMs + minuteMs, 'note'],
  ])('is asked for again %s', async (_, ms, reads) => {
    const stage = await imported();
    stage.server.given = () => mail;
    await importLater(stage.inbox, ms);
    expect(await readAsset(stage)).toBe(reads);
    expect(await stage.pending()).toEqual([]);
  });

  it('whose asset was deleted is not asked for again', async () => {
    const { inbox, server, ledger, pending } = await imported();
    const row = await ledger();
    await inbox.rows.write(inbox.name, [{ kind: 'merge', key: row?.key ?? '', columns: { state: 'deleted' } }]);
    server.given = () => expect.unreachable('fetched');
    await importLater(inbox);
    expect([await pending(), (await ledger())?.columns.state]).toEqual([[], 'deleted']);
  });
});

describe('what does not replace a note', () => {
  it('a mail larger than the account takes', async () => {
    const stage = await imported({ maxMessageSize: 1_000_000 });
    const large = Buffer.concat([mail, Buffer.alloc(1_000_001 - mail.length, '\n')]);
    stage.server.given = () => large;
    await importLater(stage.inbox);
    expect(await readAsset(stage)).toBe('note');
    expect(await stage.pending()).toHaveLength(1);
  });

  it.each(['bytes', 'stream'] as const)('%s that are in doubt', async (kind) => {
    const stage = await imported();
    stage.inbox.store.content = () => {
      const doubt = () => 'cutShort' as const;
      return kind === 'bytes' ? { kind, bytes: mail, doubt } : { kind, stream: Readable.from([mail]), doubt };
    };
    await importLater(stage.inbox);
    expect(await readAsset(stage)).toBe('note');
    expect(await stage.pending()).toHaveLength(1);
  });

  it.each([
    ['a note again', () => note],
    [
      'nothing any more',
      () => {
        throw new BrokenMail('wentAway');
      },
    ],
  ])('a mail that is given once, and then %s: what was written of it is removed later', async (_, then) => {
    const stage = await imported();
    const { inbox, server, pending } = stage;
    let given = 0;
    server.given = () => {
      given += 1;
      return given === 1 ? mail : then();
    };
    await importLater(inbox);
    expect(given).toBe(2);
    expect(await readAsset(stage)).toBe('note');
    expect((await pending())[0]?.columns.cause).toBe('substitute');
    expect(await inbox.rowsOf(leftoverPrefix)).toHaveLength(1);
    expect(await inbox.rowsOf(prefixes.inProgress)).toEqual([]);
    server.given = () => mail;
    await importLater(inbox, 2 * 60 * minuteMs);
    expect(await readAsset(stage)).toBe('mail');
  });

  it('a mail whose asset is deleted while it is read', async () => {
    const { inbox, server, ledger, pending } = await imported();
    const key = (await ledger())?.key ?? '';
    server.given = () => mail;
    inbox.rows.onWrite = async (partition, writes) => {
      if (!writes.some((write) => write.kind === 'merge' && 'completedAt' in write.columns)) return;
      inbox.rows.onWrite = () => undefined;
      await inbox.rows.write(partition, [{ kind: 'merge', key, columns: { state: 'deleted' } }]);
    };
    await importLater(inbox);
    expect((await ledger())?.columns.state).toBe('deleted');
    expect(inbox.eventTypes()).toEqual(['mailroom.mail.imported']);
    expect(await inbox.rowsOf(leftoverPrefix)).toHaveLength(1);
    await importLater(inbox);
    expect(await pending()).toEqual([]);
  });
});

describe('a process that ends', () => {
  it('before the ledger knows the mail: the next one reads it again', async () => {
    const stage = await imported();
    const { inbox, server } = stage;
    server.given = () => mail;
    inbox.rows.onWrite = (_, writes) => {
      if (writes.some((write) => write.kind === 'merge' && 'completedAt' in write.columns)) {
        throw new RestError('storage is away', { statusCode: 503 });
      }
    };
    await importLater(inbox);
    inbox.rows.onWrite = () => undefined;
    await importLater(inbox, 2 * 60 * minuteMs);
    expect(await readAsset(stage)).toBe('mail');
    expect(await stage.pending()).toEqual([]);
  });

  it('when the ledger knows it: the asset is whole, and the next one moves its blobs without asking the server', async () => {
    const stage = await imported();
    const { inbox, server, paths } = stage;
    server.given = () => mail;
    inbox.assets.onRequest = (method, path) => {
      if (method === 'upload' && path === paths.message) throw new Error('ended');
    };
    await importLater(inbox);
    inbox.assets.onRequest = () => undefined;
    expect(await readAsset(stage)).toBe('mail');
    expect(inbox.assets.names(`${paths.folder}replacement/`)).toHaveLength(2);
    server.given = () => expect.unreachable('fetched');
    // The page that was interrupted counts as an attempt, and so the mail waits once more.
    await importLater(inbox);
    await importLater(inbox, 2 * 60 * minuteMs);
    expect(await readAsset(stage)).toBe('mail');
    expect(inbox.assets.names(`${paths.folder}replacement/`)).toEqual([]);
    expect(await stage.pending()).toEqual([]);
  });
});

describe('moving a replacement', () => {
  const options = { signal, mayReplace: async () => undefined };

  it('does nothing where the asset was deleted, and fails where storage does', async () => {
    const { inbox, id, paths } = await imported();
    inbox.assets.onRequest = () => {
      throw new Error('storage is away');
    };
    const move = () => moveReplacement(inbox.assets.client, inbox.name, id, options);
    await expect(move()).rejects.toThrow('storage is away');
    inbox.assets.onRequest = () => undefined;
    await inbox.assets.client.deleteBlob(paths.description);
    const before = inbox.assets.names();
    await move();
    expect(inbox.assets.names()).toEqual(before);
  });

  it('removes what the description does not name, but nothing that another has written since', async () => {
    const { inbox, id, paths } = await imported();
    const [old, anew] = [`${paths.folder}attachments/1-old`, `${paths.folder}attachments/2-anew`];
    inbox.assets.put(old, 'old');
    inbox.assets.put(anew, 'old');
    inbox.assets.onRequest = (method, path) => {
      if (method === 'delete' && path === anew) inbox.assets.put(path, 'anew');
    };
    await moveReplacement(inbox.assets.client, inbox.name, id, options);
    expect([inbox.assets.text(old), inbox.assets.text(anew)]).toEqual([undefined, 'anew']);
  });

  it('removes nothing once another run has taken the asset over', async () => {
    const { inbox, id, paths } = await imported();
    inbox.assets.put(`${paths.folder}attachments/1-old`, 'old');
    const before = inbox.assets.names();
    const mayReplace = async () => {
      throw new Error('taken over');
    };
    const move = moveReplacement(inbox.assets.client, inbox.name, id, { signal, mayReplace });
    await expect(move).rejects.toThrow('taken over');
    expect(inbox.assets.names()).toEqual(before);
  });

  it('that is in its place already changes nothing', async () => {
    const stage = await imported();
    stage.server.given = () => mail;
    await importLater(stage.inbox);
    const before = stage.inbox.assets.names();
    await moveReplacement(stage.inbox.assets.client, stage.inbox.name, stage.id, options);
    expect(stage.inbox.assets.names()).toEqual(before);
    expect(await readAsset(stage)).toBe('mail');
  });
});
