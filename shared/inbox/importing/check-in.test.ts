import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { bounceMail } from '../../../test/support/bounce-mail.ts';
import { MemoryBlobs } from '../../../test/support/memory-blobs.ts';
import { BrokenMail, type ContentDoubt } from '../../adapters/mail-content.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { assetPaths } from '../../assets/asset.ts';
import { readDescription } from '../../assets/summary.ts';
import { EmptyMailError } from '../../mime/mail.ts';
import { accountId } from '../../platform/ids.ts';
import { assetLocalId, sourceText } from '../keys.ts';
import { type CheckInOptions, checkIn } from './check-in.ts';
import { Doubtful, isOwnTrouble, Oversize } from './trouble.ts';

/** What a check-in leaves in storage, which is in memory here. */

const signal = new AbortController().signal;
const account = 'test';
const importedAt = 1_800_000_000_000;
const source = { store: 'imap:fake', scope: 'INBOX;7', item: '0000000001' };
const localId = assetLocalId(account, source);
const id = accountId(account, localId);
const paths = assetPaths(account, id);
const untimed: ListedMail = { source, folder: 'INBOX' };
const listed: ListedMail = { ...untimed, receivedAt: Date.UTC(2023, 0, 2, 2, 5) };

const text = (...lines: readonly string[]) => Buffer.from(lines.join('\r\n'));
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const away = () => new RestError('storage is away', { statusCode: 503 });

/** A stream of so many octets at a time. */
function streamOf(bytes: Buffer, chunk = 100): Readable {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, n) =>
    bytes.subarray(n * chunk, (n + 1) * chunk),
  );
  return Readable.from(chunks);
}

const kinds: ['bytes' | 'stream', (bytes: Buffer) => Buffer | Readable][] = [
  ['bytes', (bytes) => bytes],
  ['stream', (bytes) => streamOf(bytes)],
];

const mail = text(
  'From: Ann <ann@example.com>',
  'To: Bob <bob@example.com>, carl@example.com',
  'Cc: Dora <dora@example.com>',
  'Reply-To: Office <office@example.com>',
  'Subject: The numbers',
  'Date: Mon, 02 Jan 2023 03:04:05 +0100',
  'Message-ID: <1@example.com>',
  'In-Reply-To: <0@example.com>',
  'References: <first@example.com> <0@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  '',
  'Good morning',
  '--b',
  'Content-Type: text/csv',
  'Content-Disposition: attachment; filename=numbers.csv',
  '',
  '1;2',
  '--b--',
  '',
);

/** A mail of attachments with so many octets each. */
const withAttachments = (...sizes: readonly number[]) =>
  text(
    'From: ann@example.com',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    ...sizes.flatMap((size) => [
      '--b',
      'Content-Disposition: attachment; filename=a.bin',
      '',
      `${'x'.repeat(62)}\r\n`.repeat(size / 64),
    ]),
    '--b--',
    '',
  );

function site() {
  const blobs = new MemoryBlobs();
  const take = (content: Buffer | Readable, options: Partial<CheckInOptions> = {}, as: ListedMail = listed) =>
    checkIn({ container: blobs.client, account }, as, content, {
      signal,
      importedAt,
      oversize: false,
      maxBytes: 100_000_000,
      mayReplace: async () => undefined,
      bounces: { find: async () => undefined },
      ...options,
    });
  const asset = () => readDescription(Buffer.from(blobs.text(paths.description) ?? ''));
  const typeOf = async (path: string) => (await blobs.client.getBlobClient(path).getProperties()).contentType;
  return { blobs, take, asset, typeOf };
}

describe('an asset', () => {
  it.each(kinds)('of a mail that comes as %s is described as the mail is, and has its octets', async (_, given) => {
    const { blobs, take, asset, typeOf } = site();
    const checkedIn = await take(given(mail));
    const as = { size: mail.length, sha256: sha256(mail), messageId: '<1@example.com>' };
    const well = { keepOriginal: false, substitute: false, bounces: false };
    expect(checkedIn).toEqual({ mail: listed, localId, importedAt, ...as, ...well });
    expect(asset()).toMatchObject({
      ...{ ...as, id, account, folder: 'INBOX', sourceId: sourceText(source), subject: 'The numbers' },
      from: [{ name: 'Ann', address: 'ann@example.com' }],
      to: [
        { name: 'Bob', address: 'bob@example.com' },
        { name: '', address: 'carl@example.com' },
      ],
      cc: [{ name: 'Dora', address: 'dora@example.com' }],
      replyTo: [{ name: 'Office', address: 'office@example.com' }],
      date: '2023-01-02T02:04:05.000Z',
      receivedAt: '2023-01-02T02:05:00.000Z',
      importedAt: '2027-01-15T08:00:00.000Z',
      inReplyTo: '<0@example.com>',
      references: ['<first@example.com>', '<0@example.com>'],
      ...{ text: 'Good morning', html: null, bounce: null, flags: { oversize: false }, defects: [] },
      attachments: [{ n: 1, filename: 'numbers.csv', size: 3, path: paths.attachment(1, 'numbers.csv') }],
    });
    expect(blobs.text(paths.message)).toBe(mail.toString());
    expect([await typeOf(paths.message), await typeOf(paths.description)]).toEqual([
      'message/rfc822',
      'application/json',
    ]);
  });

  it('says null for what neither the mail nor its server says', async () => {
    const { take, asset } = site();
    await take(text('From: ann@example.com', '', 'words'), {}, untimed);
    const nothing = { messageId: null, subject: null, date: null, receivedAt: null, inReplyTo: null, html: null };
    expect(asset()).toMatchObject({ ...nothing, to: [], references: [], text: 'words' });
  });

  it('has long bodies cut, and says where they are whole', async () => {
    const { blobs, take, asset } = site();
    const [words, html] = ['word ', '<b>w'].map((start) => Array(5_000).fill(start.padEnd(70, 'x')).join('\n'));
    const part = (type: string, body = '') => ['--b', `Content-Type: ${type}`, '', body.replaceAll('\n', '\r\n')];
    const head = ['From: ann@example.com', 'Content-Type: multipart/alternative; boundary=b', ''];
    await take(text(...head, ...part('text/plain', words), ...part('text/html', html), '--b--', ''));
    const { textPath, htmlPath, ...cut } = asset();
    expect([textPath, htmlPath]).toEqual([paths.text, paths.html]);
    expect([blobs.text(paths.text), blobs.text(paths.html)]).toEqual([words, html]);
    expect([words?.startsWith(cut.text ?? '-'), html?.startsWith(cut.html ?? '-')]).toEqual([true, true]);
    expect([cut.text, cut.html]).not.toEqual([words, html]);
    expect(Math.min(cut.text?.length ?? 0, cut.html?.length ?? 0)).toBeGreaterThan(1_000);
  });

  it.each([
    ['of a mail that was sent here, names it', 'record'],
    ['of somebody else’s mail, names none', undefined],
  ])('of a bounce %s', async (_, messageRecord) => {
    const { take, asset } = site();
    const about = { messageId: '<sent@example.com>', recipient: 'anna@example.org' };
    const signals: AbortSignal[] = [];
    const find: CheckInOptions['bounces']['find'] = async (_report, options) => {
      signals.push(options.signal);
      return messageRecord;
    };
    const { bounces } = await take(bounceMail(about), { bounces: { find } });
    const diagnostic = '550 5.1.1 There is no such user';
    expect(asset().bounce).toEqual({
      recipients: [{ address: about.recipient, action: 'failed', status: '5.1.1', diagnostic }],
      messageId: about.messageId,
      ...(messageRecord ? { messageRecord } : {}),
    });
    expect([bounces, signals]).toEqual([messageRecord !== undefined, [signal]]);
  });

  it('of a large mail has its headers, and no doubt about their number', async () => {
    const { take, asset } = site();
    expect(await take(mail, { oversize: true, doubt: () => 'cutShort' })).toMatchObject({ keepOriginal: true });
    expect(asset()).toMatchObject({ flags: { oversize: true }, defects: [] });
  });
});

describe('octets that are in doubt', () => {
  const doubts: [ContentDoubt, string][] = [
    ['cutShort', 'size-differs'],
    ['otherMail', 'message-id-differs'],
  ];

  it.each(doubts)(
    '(%s) are taken when as many come again, with a defect, and the original stays',
    async (doubt, code) => {
      const { take, asset } = site();
      const checkedIn = await take(mail, { doubt: () => doubt, acceptBytes: mail.length });
      expect([checkedIn.keepOriginal, asset().defects]).toEqual([true, [code]]);
    },
  );

  it.each(doubts)('(%s) are not taken else, and it is said how many they are', async (doubt) => {
    const { blobs, take } = site();
    for (const before of [{}, { acceptBytes: mail.length + 1 }]) {
      const error = await take(mail, { doubt: () => doubt, ...before }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Doubtful);
      expect(error).toMatchObject({ message: new BrokenMail(doubt).message, bytes: mail.length });
    }
    expect(blobs.text(paths.description)).toBeUndefined();
  });
});

describe.each(kinds)('a mail that comes as %s', (_, given) => {
  it('may be as large as the account takes, and no larger', async () => {
    const { blobs, take, asset } = site();
    await expect(take(given(mail), { maxBytes: mail.length - 1 })).rejects.toBeInstanceOf(Oversize);
    expect(blobs.text(paths.description)).toBeUndefined();
    await take(given(mail), { maxBytes: mail.length });
    expect(asset().size).toBe(mail.length);
  });

  it.each([{ size: 500 }, {}])('and is empty is no asset, whatever the server announced: %o', async (announced) => {
    const { blobs, take } = site();
    for (const oversize of [false, true]) {
      const empty = take(given(Buffer.alloc(0)), { oversize }, { ...listed, ...announced });
      const error = await empty.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(EmptyMailError);
      expect(isOwnTrouble(error)).toBe(true);
    }
    expect(blobs.text(paths.description)).toBeUndefined();
  });
});

describe('a stream', () => {
  it('that comes in large pieces is stored whole', async () => {
    const { blobs, take } = site();
    const large = withAttachments(960_000, 960_000);
    const { size, sha256: hash } = await take(streamOf(large, 300 << 10));
    expect([size, hash]).toEqual([large.length, sha256(large)]);
    expect(blobs.text(paths.message)).toBe(large.toString());
    expect(blobs.text(paths.attachment(2, 'a.bin'))).toHaveLength(960_000);
  });

  it('that breaks off is no asset: its own error is told', async () => {
    const { blobs, take } = site();
    const broken = new BrokenMail('wentAway');
    const stream = Readable.from(
      (async function* () {
        yield mail.subarray(0, 300);
        throw broken;
      })(),
    );
    await expect(take(stream)).rejects.toBe(broken);
    expect(blobs.text(paths.description)).toBeUndefined();
  });

  it.each([
    ['the mail', paths.message],
    ['one of its attachments', paths.attachment(1, 'a.bin')],
  ])('is let go, and is no asset, where storage does not take %s', async (_, refused) => {
    const { blobs, take } = site();
    blobs.onRequest = (_method, path) => {
      if (path === refused) throw away();
    };
    const stream = streamOf(withAttachments(640_000, 3_200_000), 512 << 10);
    await expect(take(stream)).rejects.toThrow('storage is away');
    expect([stream.destroyed, blobs.text(paths.description)]).toEqual([true, undefined]);
  });
});
