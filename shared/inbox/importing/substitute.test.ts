import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { BrokenMail } from '../../adapters/mail-content.ts';
import { leftoverPrefix } from '../../assets/leftover-row.ts';
import { readMime } from '../../mime/read-mime.ts';
import { fingerprintPrefix, prefixes } from '../keys.ts';
import { dayMs, imported, importLater, mail, minuteMs, note, readAsset, text } from './substitute.test-support.ts';
import { isSubstitute } from './substitute.ts';

/** A note of the server stands in for a mail, until the server gives the mail itself. */

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
    ['only within a week', 7 * dayMs, 'mail'],
    ['and never after it', 7 * dayMs + 1, 'note'],
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

describe('what is told as a note of the server', () => {
  const placeholder = (...fields: readonly string[]) => [
    'From: sender@example.com',
    'Message-ID: <scanned@example.com>',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    '',
    'words',
    '--b',
    ...fields,
    '',
    'the attachment is being scanned',
    '--b--',
    '',
  ];
  const ofExchange = 'From: "Microsoft Exchange Server 2010" <>';
  const itsWords = 'Subject: Retrieval using the POP3 protocol failed for the following message: 7';
  const isNote = async (lines: readonly string[]) => {
    const discard = async (_: unknown, content: Readable) => {
      content.resume();
      await finished(content);
    };
    return isSubstitute(await readMime(text([...lines, '']), { attachment: discard, longBody: discard }));
  };

  it.each([
    ['its words, whoever sends them', ['From: a@example.com', itsWords]],
    [
      'a sender that is Exchange itself, in whatever language',
      ['From: Microsoft Exchange Server 2010', 'Subject: Abruf'],
    ],
    ['the same, as a name without an address', [ofExchange, 'Subject: Abruf']],
    ['the same beside another sender', ['From: a@example.com, " Microsoft Exchange " <>', 'Subject: Abruf']],
    ['the same without a subject', [ofExchange]],
    [
      'an attachment that is being scanned',
      placeholder('Content-Disposition: attachment; filename="ATP Scan In Progress.eml"'),
    ],
    [
      'the same by its other name, with white space',
      placeholder('Content-Disposition: attachment; filename=" Safe Attachments Scan In Progress "'),
    ],
  ])('%s', async (_, lines) => {
    expect(await isNote([...lines, '', 'words'])).toBe(true);
  });

  it.each([
    ['its words in a mail with a Message-ID', ['From: a@example.com', itsWords, 'Message-ID: <a@example.com>']],
    ['its words in a mail with a date', ['From: a@example.com', itsWords, 'Date: Mon, 02 Mar 2026 03:04:05 +0100']],
    ['its sender in a mail with a Message-ID', [ofExchange, 'Message-ID: <a@example.com>']],
    ['its sender in a mail with a date', [ofExchange, 'Date: Mon, 02 Mar 2026 03:04:05 +0100']],
    ['a person of that name', ['From: Microsoft Exchange <a@example.com>', 'Subject: Hello']],
    ['a sender without an address who is somebody else', ['From: "Somebody else" <>', 'Subject: Hello']],
    ['a mail with no sender and no subject', ['To: a@example.com']],
    ['an attachment of another name', placeholder('Content-Disposition: attachment; filename=a.txt')],
    ['an attachment without a name', placeholder('Content-Disposition: attachment')],
  ])('but not %s', async (_, lines) => {
    expect(await isNote([...lines, '', 'words'])).toBe(false);
  });
});
