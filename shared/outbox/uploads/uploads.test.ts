import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../../local/azurite.ts';
import { memoryInUse } from '../../../test/support/memory-in-use.ts';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { parseSendRequest } from '../accepting/request.ts';
import { submit } from '../accepting/submit.ts';
import { composeMail } from '../composing/compose.ts';
import type { OutboxContext } from '../context.ts';
import { frozenMail } from '../delivering/frozen-mail.ts';
import { getMessageMime } from '../message-mime.ts';
import type { MessageRecord } from '../record.ts';
import { findUploads, maxUploadBytes, removeExpiredUploads, storeUpload, uploadLifeMs } from './uploads.ts';

const options = { signal: new AbortController().signal };
const hour = 3_600_000;

let azurite: Azurite;
let outbox: MemoryOutbox;
let context: OutboxContext;
let uploads: ContainerClient;
let mime: ContainerClient;

beforeAll(async () => {
  azurite = await startAzurite();
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
  [uploads, mime] = ['uploads', 'outbox'].map((name) => service.getContainerClient(name)) as [
    ContainerClient,
    ContainerClient,
  ];
  await uploads.create();
  await mime.create();
});

afterAll(() => azurite?.stop());

beforeEach(() => {
  outbox = new MemoryOutbox();
  context = { ...outbox.context, uploads: async () => uploads, mime: async () => mime };
});

async function* chunks(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const upload = (bytes: Buffer) => storeUpload(context, chunks(bytes), options);

async function names(container: ContainerClient): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of container.listBlobsFlat()) found.push(name);
  return found;
}

async function post(fields: Readonly<Record<string, unknown>>): Promise<MessageRecord> {
  const account = outbox.accounts.get('corpus');
  if (!account) throw new Error('no account');
  const read = async () => ({ to: 'anna@example.org', subject: 'Zahlen', text: 'Grüße', ...fields });
  return (await submit(context, account, { mail: { kind: 'fields', read } }, options)).record;
}

const textOf = async (record: MessageRecord) =>
  await buffer(await frozenMail(context, record, ['anna@example.org']).open(options.signal));

describe('an upload', () => {
  it.each([1, 4 << 20, (5 << 20) + 17])('of %i bytes is kept as it came, with its size, hash and end', async (size) => {
    const bytes = randomBytes(size);
    const { id, ...kept } = await upload(bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(kept).toEqual({ size, sha256, expiresAt: outbox.now + uploadLifeMs });
    expect(id).toMatch(/^[0-9a-f]{40}$/);
    expect((await uploads.getBlobClient(id).downloadToBuffer()).equals(bytes)).toBe(true);
    expect((await findUploads(context, [id], options)).get(id)).toMatchObject({ id, size, expiresAt: kept.expiresAt });
  });

  it('without a byte, with too many, or broken off, leaves nothing', async () => {
    const before = await names(uploads);
    expect(await refusalOf(upload(Buffer.alloc(0)))).toMatchObject({ reason: 'invalid' });
    const mebibyte = Buffer.alloc(1 << 20);
    const tooMany = async function* () {
      for (let n = 0; n < maxUploadBytes / mebibyte.length; n += 1) yield mebibyte;
      yield Buffer.alloc(1);
    };
    expect(await refusalOf(storeUpload(context, tooMany(), options))).toMatchObject({ reason: 'tooLarge' });
    const broken = async function* () {
      yield randomBytes(9 << 20);
      throw new Error('gone');
    };
    await expect(storeUpload(context, broken(), options)).rejects.toThrow('gone');
    expect(await names(uploads)).toEqual(before);
  });

  it('that expired is removed an hour later, and no other', async () => {
    const old = await upload(Buffer.from('old'));
    outbox.now += hour;
    const young = await upload(Buffer.from('young'));
    outbox.now = old.expiresAt + hour;
    await removeExpiredUploads(context, options);
    expect(await names(uploads)).toEqual(expect.arrayContaining([old.id, young.id]));
    outbox.now += 1;
    await removeExpiredUploads(context, options);
    const left = await names(uploads);
    expect([left.includes(old.id), left.includes(young.id)]).toEqual([false, true]);
  });
});

describe('a message with uploads', () => {
  const contents = [1, 57, 58, 1_000, 1_100_000].map((size) => randomBytes(size));
  const inline = Buffer.from('small');

  /** The same attachments, some of them uploaded, and all inline. */
  async function bothForms() {
    const ids: string[] = [];
    for (const bytes of contents) ids.push((await upload(bytes)).id);
    const attachments = [
      { filename: 'a.txt', content: inline.toString('base64') },
      ...contents.map((bytes, n) => ({ filename: `Datei ${n}.pdf`, bytes, id: ids[n] })),
      { filename: 'again.png', contentId: 'c1', bytes: contents[3], id: ids[3] },
    ].map((each) => ('bytes' in each ? each : { ...each, bytes: undefined, id: undefined }));
    const form = (named: boolean) =>
      attachments.map(({ bytes, id, ...fields }) =>
        bytes === undefined
          ? fields
          : { ...fields, ...(named ? { upload: id } : { content: bytes.toString('base64') }) },
      );
    return { uploaded: form(true), inlined: form(false) };
  }

  it('has the very bytes that it has with the same attachments inline, at each attempt and in each part', async () => {
    const { uploaded, inlined } = await bothForms();
    const html = '<img src="cid:c1">';
    const record = await post({ html, attachments: uploaded });
    const account = outbox.accounts.get('corpus');
    if (!account) throw new Error('no account');
    const fields = { to: 'anna@example.org', subject: 'Zahlen', text: 'Grüße', html, attachments: inlined };
    const parsed = parseSendRequest(fields, account, { now: outbox.now });
    const expected = await buffer(
      composeMail(parsed, { messageId: record.messageId, date: new Date(outbox.now) }).open(),
    );
    expect(record.size).toBe(expected.length);
    expect((await textOf(record)).equals(expected)).toBe(true);
    expect((await textOf(record)).equals(expected)).toBe(true);
    const content = await getMessageMime(context, `corpus.${record.localId}`, { ...options, keptDays: 30 });
    expect(content.size).toBe(expected.length);
    for (const [offset, count] of [
      [0, 1],
      [expected.length - 1, 1],
      [700, 300],
      [3_000, 5_000],
      [4_321, 1_200_000],
      [expected.length - 1_000_001, 1_000_001],
    ] as const) {
      const part = await buffer(await content.open(offset, count));
      expect(part.equals(expected.subarray(offset, offset + count)), `${count} from ${offset}`).toBe(true);
    }
  });

  it('of 150 MiB is read with a few pieces in memory', { timeout: 240_000 }, async () => {
    const block = randomBytes(1 << 20);
    const source = async function* () {
      for (let n = 0; n < maxUploadBytes / block.length; n += 1) yield block;
    };
    const { id } = await storeUpload(context, source(), options);
    const record = await post({ attachments: [{ filename: 'a.bin', upload: id }] });
    const before = memoryInUse();
    let [size, looked, most] = [0, 0, 0];
    for await (const chunk of await frozenMail(context, record, ['anna@example.org']).open(options.signal)) {
      size += chunk.length;
      if (size < looked + (20 << 20)) continue;
      looked = size;
      most = Math.max(most, memoryInUse() - before);
    }
    expect(size).toBe(record.size);
    expect(looked).toBeGreaterThan(maxUploadBytes);
    expect(most).toBeLessThan(32 << 20);
  });

  it('does not need them once it is accepted', async () => {
    const { id } = await upload(contents[3] ?? Buffer.alloc(0));
    const record = await post({ attachments: [{ filename: 'a.bin', upload: id }] });
    const before = await textOf(record);
    await uploads.deleteBlob(id);
    expect((await textOf(record)).equals(before)).toBe(true);
  });

  it('is not sent with other bytes than it was accepted with', async () => {
    const { id } = await upload(Buffer.from('as it was'));
    const record = await post({ attachments: [{ filename: 'a.bin', upload: id }] });
    await mime.getBlockBlobClient(`corpus/${record.localId}.0`).upload('replaced!', 9);
    await expect(textOf(record)).rejects.toThrow();
  });

  it('is refused, with nothing kept, where one ended between the look and the copy', async () => {
    const kept = await upload(Buffer.from('kept'));
    const gone = await upload(Buffer.from('gone'));
    const before = await names(mime);
    const client = uploads.getBlobClient(gone.id);
    const racing: OutboxContext = {
      ...context,
      mime: async () => {
        await client.deleteIfExists();
        return mime;
      },
    };
    context = racing;
    const attachments = [kept, gone].map(({ id }, n) => ({ filename: `${n}`, upload: id }));
    expect(await refusalOf(post({ attachments }))).toMatchObject({
      reason: 'invalid',
      mistakes: [{ pointer: '/attachments' }],
    });
    expect(await names(mime)).toEqual(before);
  });

  it('reports every upload that is not there or has expired, beside all else that is wrong', async () => {
    const old = await upload(Buffer.from('old'));
    outbox.now = old.expiresAt;
    const fresh = await upload(Buffer.from('fresh'));
    const error = await refusalOf(
      post({
        to: 'nobody',
        attachments: [
          { filename: 'a', upload: old.id },
          { filename: 'b', upload: fresh.id },
          { filename: 'c', upload: '0'.repeat(40) },
          { filename: 'd', upload: '../secret' },
          { filename: 'e', upload: fresh.id, content: 'eA==' },
          { filename: 'f' },
          { filename: 'g.eml', upload: fresh.id, contentType: 'message/rfc822' },
        ],
      }),
    );
    expect(error.mistakes?.map(({ pointer }) => pointer).sort()).toEqual([
      '/attachments/0/upload',
      '/attachments/2/upload',
      '/attachments/3/upload',
      '/attachments/4/upload',
      '/attachments/5/content',
      '/attachments/6/contentType',
      '/to',
    ]);
    expect(JSON.stringify(error.mistakes)).not.toContain(old.id);
  });

  it('has at most 150 MiB of attachments together', async () => {
    const account = outbox.accounts.get('corpus');
    if (!account) throw new Error('no account');
    const id = '0'.repeat(40);
    const parse = (size: number) => {
      const found = new Map([[id, { id, size, etag: 'e', expiresAt: outbox.now + 1 }]]);
      const attachments = [
        { filename: 'a', upload: id },
        { filename: 'b', upload: id },
        { filename: 'c', content: 'eHl6' },
      ];
      const request = { to: 'anna@example.org', subject: '', attachments };
      return parseSendRequest(request, account, { now: outbox.now, uploads: found });
    };
    expect(() => parse((maxUploadBytes - 2) / 2)).toThrow(expect.objectContaining({ reason: 'tooLarge' }));
    expect(parse((maxUploadBytes - 4) / 2).attachments).toHaveLength(3);
  });
});

it('what was sent is not there, with the reason, once it was removed', async () => {
  const { id } = await upload(Buffer.from('x'));
  const record = await post({ attachments: [{ filename: 'a', upload: id }] });
  const message = `corpus.${record.localId}`;
  const content = await getMessageMime(context, message, { ...options, keptDays: 30 });
  await mime.deleteBlob(`corpus/${record.localId}.eml`);
  expect(await refusalOf(content.open(0, 10))).toMatchObject({
    reason: 'notFound',
    message: expect.stringMatching(/30/),
  });
});
