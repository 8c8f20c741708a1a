import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Azurite, startAzurite } from '../../../local/azurite.ts';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import type { OutboxContext } from '../context.ts';
import { uploadPath } from '../keys.ts';
import { freezeUploads, removeFrozenUploads, uploadsInText } from './freeze-uploads.ts';
import { findUploads, removeExpiredUploads, storeUpload, type Upload, uploadLifeMs } from './uploads.ts';

/** Small uploads in a storage; large ones are in `uploads.test.ts`. */

const options = { signal: new AbortController().signal };
const hour = 3_600_000;
const message = { account: 'corpus', localId: 'm1' };
const path = (number: number) => uploadPath(message.account, message.localId, number);

let azurite: Azurite;
let uploads: ContainerClient;
let mime: ContainerClient;
/** Containers that storage opens to nobody: the key is wrong. */
let closed: ContainerClient;
let outbox: MemoryOutbox;
let context: OutboxContext;
let tests = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});

afterAll(() => azurite?.stop());

beforeEach(async () => {
  tests += 1;
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
  uploads = service.getContainerClient(`uploads-${tests}`);
  mime = service.getContainerClient(`outbox-${tests}`);
  await Promise.all([uploads.create(), mime.create()]);
  const wrongKey = new StorageSharedKeyCredential(service.accountName, Buffer.alloc(64).toString('base64'));
  closed = new BlobServiceClient(service.url, wrongKey).getContainerClient(uploads.containerName);
  outbox = new MemoryOutbox();
  context = { ...outbox.context, uploads: async () => uploads, mime: async () => mime };
});

/** Keeps an upload for each of these texts, and looks them up. */
async function kept(...texts: readonly string[]): Promise<readonly Upload[]> {
  const ids: string[] = [];
  for (const text of texts) {
    const source = async function* () {
      yield Buffer.from(text);
    };
    ids.push((await storeUpload(context, source(), options)).id);
  }
  return [...(await findUploads(context, ids, options)).values()];
}

const freeze = (found: readonly Upload[]) => freezeUploads(context, message, found, options.signal);
const write = (id: string, text: string) => uploads.getBlockBlobClient(id).upload(text, text.length);

async function names(container: ContainerClient): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of container.listBlobsFlat()) found.push(name);
  return found;
}

describe('the uploads of a message', () => {
  it('are copies of its own, in the order in which it names them', async () => {
    const found = await kept('one', 'second');
    const frozen = await freeze(found);
    for (const { id } of found) await uploads.deleteBlob(id);
    expect(frozen.map(({ size }) => size)).toEqual([3, 6]);
    for (const [number, text] of ['one', 'second'].entries()) {
      const copy = mime.getBlobClient(path(number));
      expect((await copy.downloadToBuffer()).toString()).toBe(text);
      expect((await copy.getProperties()).etag).toBe(frozen[number]?.etag);
    }
  });

  it('are the very bytes that were looked up: it is refused, with no copy kept, where one was written anew', async () => {
    const found = await kept('one', 'second');
    await write(found[1]?.id ?? '', 'SECOND');
    expect(await refusalOf(freeze(found))).toMatchObject({
      reason: 'invalid',
      mistakes: [{ pointer: '/attachments', detail: 'name an upload that was removed' }],
    });
    expect(await names(mime)).toEqual([]);
  });

  it('are whole, or no copy is kept', async () => {
    const [one, second] = await kept('one', 'second');
    if (!one || !second) throw new Error('not kept');
    await expect(freeze([one, { ...second, size: second.size + 1 }])).rejects.toThrow('not whole');
    expect(await names(mime)).toEqual([]);
  });

  it('are not said to be removed where storage refuses to copy them', async () => {
    const found = await kept('one');
    context = { ...context, mime: async () => closed };
    await expect(freeze(found)).rejects.toMatchObject({ name: 'RestError', statusCode: 403 });
  });

  it('go where it is not accepted, though one has gone before, and those of others stay', async () => {
    await freeze(await kept('one', 'second', 'third'));
    await mime.deleteBlob(path(0));
    const other = uploadPath(message.account, 'm2', 0);
    await mime.getBlockBlobClient(other).upload('x', 1);
    await removeFrozenUploads(context, message, 3);
    expect(await names(mime)).toEqual([other]);
  });

  it('are no trouble where storage refuses to remove them: they go with old mail', async () => {
    context = { ...context, mime: async () => closed };
    const removals = vi.spyOn(closed, 'deleteBlob');
    await removeFrozenUploads(context, message, 2);
    const refused = { type: 'rejected', value: { statusCode: 403 } };
    expect(removals.mock.settledResults).toMatchObject([refused, refused]);
  });
});

describe('the places of uploads in a text', () => {
  const [first, second] = [
    { size: 3, etag: 'e0' },
    { size: 6, etag: 'e1' },
  ];

  it('have the copies that are named there, each as often as it is named', () => {
    const places = [
      { at: 5, upload: 1 },
      { at: 9, upload: 0 },
      { at: 9, upload: 1 },
    ];
    expect(uploadsInText(places, [first, second])).toEqual([
      { at: 5, upload: 1, ...second },
      { at: 9, upload: 0, ...first },
      { at: 9, upload: 1, ...second },
    ]);
    expect(uploadsInText([], [])).toEqual([]);
  });

  it.each([
    ['a copy has no place', [{ at: 5, upload: 0 }], [first, second]],
    ['a place has no copy', [{ at: 5, upload: 1 }], [first]],
    ['a mail without places has a copy', [], [first]],
  ])('are no mail that could be sent where %s', (_, places, frozen) => {
    expect(() => uploadsInText(places, frozen)).toThrow('The composed mail');
  });
});

describe('uploads in a storage', () => {
  it('are not said to be unknown where storage refuses to look', async () => {
    const [one] = await kept('one');
    const look = findUploads({ ...context, uploads: async () => closed }, [one?.id ?? ''], options);
    await expect(look).rejects.toMatchObject({ name: 'RestError', statusCode: 403 });
  });

  it('that say no end are kept as long as any, from when they were written', async () => {
    const id = 'a'.repeat(40);
    await write(id, 'x');
    const written = (await uploads.getBlobClient(id).getProperties()).lastModified?.getTime() ?? Number.NaN;
    outbox.now = written + uploadLifeMs + hour;
    await removeExpiredUploads(context, options);
    expect(await names(uploads)).toEqual([id]);
    outbox.now += 1;
    await removeExpiredUploads(context, options);
    expect(await names(uploads)).toEqual([]);
  });
});
