import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { turns } from '../../test/support/turns.ts';
import { mimePath, uploadPath } from './keys.ts';
import type { MessageRecord } from './record.ts';
import { heldBelow, openMime, openMimeRange } from './stored-mime.ts';
import { encodedSize } from './uploads/base64-lines.ts';

const { signal } = new AbortController();
const mebi = 1 << 20;

let outbox: MemoryOutbox;
/** Bytes that each request for a blob asked for; undefined: all. */
let reads: (number | undefined)[];

beforeEach(() => {
  outbox = new MemoryOutbox();
  reads = [];
});

/** Bytes none of whose pieces look like another. */
const bytesOf = (length: number, seed = 1) => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >> 8) * 17 + (at >> 16) * 7 + seed) & 0xff;
  return bytes;
};

/** The same by a way that shares nothing with it. */
const inLines = (bytes: Buffer) => Buffer.from((bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n'));

/** A message whose text is `text`, with uploads at these places of it; and what it is as a whole. */
async function stored(text: Buffer, uploads: readonly { readonly at: number; readonly bytes: Buffer }[] = []) {
  const record = await outbox.record(await outbox.accept());
  const { account, localId } = record;
  outbox.blobs.put(mimePath(account, localId), text);
  const container = await outbox.context.mime();
  const inText: NonNullable<MessageRecord['uploads']> = [];
  const whole: Buffer[] = [];
  let from = 0;
  for (const [upload, { at, bytes }] of uploads.entries()) {
    const path = uploadPath(account, localId, upload);
    outbox.blobs.put(path, bytes);
    const { etag = '' } = await container.getBlobClient(path).getProperties();
    inText.push({ at, upload, size: bytes.length, etag });
    whole.push(text.subarray(from, at), inLines(bytes));
    from = at;
  }
  whole.push(text.subarray(from));
  const size = text.length + uploads.reduce((sum, { bytes }) => sum + encodedSize(bytes.length), 0);
  const changed: MessageRecord = { ...record, size, ...(uploads.length === 0 ? {} : { uploads: inText }) };
  count();
  return { record: changed, whole: Buffer.concat(whole) };
}

/** Notes the bytes that are asked for at one time. */
function count(): void {
  const { client } = outbox.blobs;
  const mime = {
    ...client,
    getBlockBlobClient: (path: string) => {
      const blob = client.getBlockBlobClient(path);
      return {
        ...blob,
        downloadToBuffer: (offset: number, length: number, options: object) => {
          reads.push(length);
          return blob.downloadToBuffer(offset, length, options);
        },
        download: (...args: Parameters<typeof blob.download>) => {
          reads.push(args[1]);
          return blob.download(...args);
        },
      };
    },
  };
  Object.assign(outbox.context, { mime: async () => mime });
}

const open = async (record: MessageRecord) => await buffer(await openMime(outbox.context, record, signal));
const range = async (record: MessageRecord, offset: number, octets: number) =>
  await buffer(await openMimeRange(outbox.context, record, { offset, count: octets }, signal));

describe('a text alone', () => {
  it.each([0, 1, heldBelow, mebi])('of %i bytes is read by one request', async (length) => {
    const { record, whole } = await stored(bytesOf(length));
    expect((await open(record)).equals(whole)).toBe(true);
    expect(reads).toEqual([undefined]);
  });

  it.each([
    [mebi + 1, [mebi + 1]],
    [2 * mebi, [2 * mebi]],
    [2 * mebi + 1, [2 * mebi, 1]],
    [5 * mebi, [2 * mebi, 2 * mebi, mebi]],
  ])('of %i bytes is read in pieces', async (length, pieces) => {
    const { record, whole } = await stored(bytesOf(length));
    expect((await open(record)).equals(whole)).toBe(true);
    expect(reads).toEqual(pieces);
  });

  it.each([
    [0, 1],
    [7, 100],
    [2 * mebi - 1, 2],
    [2 * mebi, 1],
    [3 * mebi - 1, 1],
    [3 * mebi, 0],
    [10, 0],
  ])('is read from octet %i on, %i octets of it and no more', async (offset, octets) => {
    const { record, whole } = await stored(bytesOf(3 * mebi));
    expect((await range(record, offset, octets)).equals(whole.subarray(offset, offset + octets))).toBe(true);
    expect(reads.reduce((sum: number, read) => sum + (read ?? 0), 0)).toBe(octets);
  });
});

describe('a text with uploads', () => {
  const text = Buffer.from('head\r\nmiddle\r\ntail\r\n');
  const small = [
    { at: 6, bytes: bytesOf(100) },
    { at: 14, bytes: bytesOf(57, 2) },
  ];

  it('has each in base64, where it belongs', async () => {
    const { record, whole } = await stored(text, small);
    expect((await open(record)).toString()).toBe(whole.toString());
    expect(whole.toString()).toMatch(/^head\r\n.+middle\r\n.+tail\r\n$/s);
  });

  it('can be read from every octet to every other', async () => {
    const { record, whole } = await stored(text, small);
    for (let from = 0; from < whole.length; from += 7) {
      for (let to = from + 1; to <= whole.length; to += 5) {
        const got = (await range(record, from, to - from)).toString();
        expect(got, `${from} to ${to}`).toBe(whole.subarray(from, to).toString());
      }
    }
  });

  it('ends where it ends, for one who asks for more', async () => {
    const { record, whole } = await stored(text, small);
    for (const from of [0, 10, whole.length - 1]) {
      expect((await range(record, from, whole.length)).toString(), `${from}`).toBe(whole.subarray(from).toString());
    }
    expect((await range(record, whole.length, 5)).toString()).toBe('');
  });

  it('reads only the blobs that a range is of', async () => {
    const { record } = await stored(text, small);
    await range(record, 6, 1);
    expect(reads).toEqual([100]);
  });

  it('of many bytes is read in pieces, and joined without a seam', async () => {
    const { record, whole } = await stored(text, [{ at: 6, bytes: bytesOf(3 * mebi + 5) }]);
    expect((await open(record)).equals(whole)).toBe(true);
    expect(Math.max(...reads.map((read) => read ?? 0))).toBeLessThanOrEqual(2 * mebi);
    const middle = Math.floor(whole.length / 2);
    for (const [offset, octets] of [
      [middle, 200_000],
      [middle + 1, 200_000],
      [1_434_888 + 5, 200_000],
      [1_434_888 + 6, 200_000],
      [1_434_888 + 7, 200_000],
      // From the middle of a line on, over several pieces.
      [100, 3_000_000],
    ] as const) {
      expect((await range(record, offset, octets)).equals(whole.subarray(offset, offset + octets))).toBe(true);
    }
  });

  it('at the very begin and end of the text, and one behind the other', async () => {
    const uploads = [
      { at: 0, bytes: bytesOf(3) },
      { at: 0, bytes: bytesOf(4, 2) },
      { at: text.length, bytes: bytesOf(5, 3) },
    ];
    const { record, whole } = await stored(text, uploads);
    expect((await open(record)).toString()).toBe(whole.toString());
  });

  it('is not the mail any more where an upload is another one now', async () => {
    const { record } = await stored(text, small);
    outbox.blobs.put(uploadPath(record.account, record.localId, 0), bytesOf(100, 9));
    await expect(open(record)).rejects.toMatchObject({ statusCode: 412 });
    // What lies before it can still be read.
    expect((await range(record, 0, 6)).toString()).toBe('head\r\n');
  });
});

it('no piece is read before its reader asks for it: memory holds one for each slow server', async () => {
  const { record } = await stored(bytesOf(5 * mebi));
  const stream = await openMime(outbox.context, record, signal);
  const pieces = stream[Symbol.asyncIterator]();
  for (const asked of [[2 * mebi], [2 * mebi, 2 * mebi]]) {
    await pieces.next();
    await setImmediate();
    expect(reads).toEqual(asked);
  }
  stream.destroy();
});

it('many at one time are read in smaller pieces, and one alone in large ones again, whatever became of the others', async () => {
  const text = Buffer.from('head\r\n');
  const { record: upload, whole } = await stored(text, [{ at: 6, bytes: bytesOf(3 * mebi) }]);
  const { record: mail } = await stored(bytesOf(5 * mebi));
  const streams = await Promise.all(Array.from({ length: 30 }, () => openMime(outbox.context, mail, signal)));
  expect(reads).toEqual(Array(30).fill(128 << 10));
  reads.length = 0;
  expect((await open(upload)).equals(whole)).toBe(true);
  expect(Math.max(...reads.map((read) => read ?? 0))).toBeLessThanOrEqual(128 << 10);
  const [begun, ...unread] = streams;
  await begun?.[Symbol.asyncIterator]().next();
  begun?.destroy();
  for (const stream of unread) stream.destroy();
  await turns();
  const gone = { ...mail, localId: 'gone' };
  for (const _ of streams)
    await expect(openMime(outbox.context, gone, signal)).rejects.toMatchObject({ statusCode: 404 });
  reads.length = 0;
  await open(mail);
  expect(reads).toEqual([2 * mebi, 2 * mebi, mebi]);
});

describe('a text that cannot be read', () => {
  it.each([10, 3 * mebi])('because its blob is gone fails before anything is answered: %i bytes', async (length) => {
    const { record } = await stored(bytesOf(length));
    await outbox.blobs.client.deleteBlob(mimePath(accountName, record.localId));
    await expect(openMime(outbox.context, record, signal)).rejects.toMatchObject({ statusCode: 404 });
    await expect(openMimeRange(outbox.context, record, { offset: 0, count: 5 }, signal)).rejects.toMatchObject({
      statusCode: 404,
    });
  });

  it('any more ends its stream with the error', async () => {
    const { record } = await stored(bytesOf(5 * mebi));
    const stream = await openMime(outbox.context, record, signal);
    await outbox.blobs.client.deleteBlob(mimePath(accountName, record.localId));
    await expect(buffer(stream)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('is not read at all where its caller has gone', async () => {
    const { record } = await stored(bytesOf(10));
    await expect(openMime(outbox.context, record, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });

  it.each([
    ['a text', () => stored(bytesOf(5 * mebi))],
    ['an upload', () => stored(Buffer.from('head\r\n'), [{ at: 6, bytes: bytesOf(5 * mebi) }])],
  ])('ends where its caller does: %s', async (_, store) => {
    const { record } = await store();
    const cut = new AbortController();
    const stream = await openMime(outbox.context, record, cut.signal);
    cut.abort();
    // Its size alone: a failure would print megabytes.
    await expect(buffer(stream).then(({ length }) => length)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
