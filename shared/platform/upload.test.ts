import { createHash, randomBytes } from 'node:crypto';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { uploadUnknown } from './upload.ts';

const mebibyte = 1 << 20;
const never = new AbortController().signal;

let azurite: Azurite;
let container: ContainerClient;

beforeAll(async () => {
  azurite = await startAzurite();
  container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('uploads');
  await container.create();
});

afterAll(() => azurite?.stop());

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

it.each([
  [0, 1],
  [1, 1],
  [2 * mebibyte, 64 * 1024],
  [2 * mebibyte + 1, 64 * 1024],
  [3 * mebibyte, mebibyte],
  [5 * mebibyte + 17, 77_777],
  [9 * mebibyte, 9 * mebibyte],
])('%i bytes in chunks of %i are there as they were', async (length, chunk) => {
  const bytes = randomBytes(length);
  const path = `${length}/${chunk}`;
  expect(await uploadUnknown(container, path, inChunks(bytes, chunk), 'message/rfc822', never)).toBe(length);
  const blob = container.getBlobClient(path);
  // Again over what is there: a check-in that is done twice.
  await uploadUnknown(container, path, inChunks(bytes, chunk), 'message/rfc822', never);
  expect(sha256(await blob.downloadToBuffer())).toBe(sha256(bytes));
  expect((await blob.getProperties()).contentType).toBe('message/rfc822');
});

it.each([1, 3, 6])('a source that fails after %i MiB leaves no blob, and its error is told', async (good) => {
  async function* failing(): AsyncGenerator<Buffer> {
    for (let n = 0; n < good; n += 1) yield randomBytes(mebibyte);
    throw new Error('the source broke off');
  }
  await expect(uploadUnknown(container, `fails/${good}`, failing(), 'x/y', never)).rejects.toThrow('broke off');
  expect(await container.getBlobClient(`fails/${good}`).exists()).toBe(false);
});

it('storage that refuses a block is told, and the source is left', async () => {
  const elsewhere = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('not-there');
  let left = false;
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield randomBytes(mebibyte);
    } finally {
      left = true;
    }
  }
  await expect(uploadUnknown(elsewhere, 'any', endless(), 'x/y', never)).rejects.toMatchObject({ statusCode: 404 });
  expect(left).toBe(true);
});

it('ends when it is aborted', async () => {
  const cut = new AbortController();
  async function* slow(): AsyncGenerator<Buffer> {
    for (let n = 0; ; n += 1) {
      if (n === 4) cut.abort();
      yield randomBytes(mebibyte);
    }
  }
  await expect(uploadUnknown(container, 'aborted', slow(), 'x/y', cut.signal)).rejects.toThrow(/abort/i);
  expect(await container.getBlobClient('aborted').exists()).toBe(false);
});
