import { createHash, randomBytes } from 'node:crypto';
import { BlobServiceClient, type BlockBlobClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { turns } from '../../test/support/turns.ts';
import { uploadUnknown } from './upload.ts';

const mebibyte = 1 << 20;
const plain = { contentType: 'message/rfc822', signal: new AbortController().signal };

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
  const blob = container.getBlockBlobClient(path);
  expect(await uploadUnknown(blob, inChunks(bytes, chunk), plain)).toBe(length);
  // Again over what is there: a check-in that is done twice.
  await uploadUnknown(blob, inChunks(bytes, chunk), plain);
  expect(sha256(await blob.downloadToBuffer())).toBe(sha256(bytes));
  expect((await blob.getProperties()).contentType).toBe('message/rfc822');
});

it.each([1, 3, 6])('a source that fails after %i MiB leaves no blob, and its error is reported', async (good) => {
  async function* failing(): AsyncGenerator<Buffer> {
    for (let n = 0; n < good; n += 1) yield randomBytes(mebibyte);
    throw new Error('the source broke off');
  }
  await expect(uploadUnknown(container.getBlockBlobClient(`fails/${good}`), failing(), plain)).rejects.toThrow(
    'broke off',
  );
  expect(await container.getBlobClient(`fails/${good}`).exists()).toBe(false);
});

it('few buffers are used for all blocks, and none again before storage has answered for it', async () => {
  const bytes = randomBytes(21 * mebibyte + 5);
  const blob = container.getBlockBlobClient('few buffers');
  const stageBlock = blob.stageBlock.bind(blob);
  const buffers = new Set<unknown>();
  blob.stageBlock = async (id, body, ...options) => {
    if (!Buffer.isBuffer(body)) return expect.fail('no buffer');
    buffers.add(body.buffer);
    const before = sha256(body);
    const answer = await stageBlock(id, body, ...options);
    // The source goes on meanwhile.
    await turns();
    expect(sha256(body)).toBe(before);
    return answer;
  };
  await uploadUnknown(blob, inChunks(bytes, 100_000), plain);
  expect(sha256(await blob.downloadToBuffer())).toBe(sha256(bytes));
  expect(buffers.size).toBeLessThanOrEqual(3);
});

it('large streams that come at one time have smaller blocks, and one alone has large ones again', async () => {
  const sizes: number[] = [];
  const watched = (path: string) => {
    const blob = container.getBlockBlobClient(path);
    const stageBlock = blob.stageBlock.bind(blob);
    blob.stageBlock = async (id, body, length, options) => {
      sizes.push(length);
      return stageBlock(id, body, length, options);
    };
    return blob;
  };
  const contents = Array.from({ length: 12 }, () => randomBytes(5 * mebibyte + 3));
  const [bytes = Buffer.alloc(0)] = contents;
  // None goes on before all have begun, each with a little more than goes in one request.
  const begin = mebibyte + 1;
  const crowd = contents.length;
  let begun = 0;
  let allBegun = () => {};
  const all = new Promise<void>((resolve) => {
    allBegun = resolve;
  });
  async function* together(content: Buffer): AsyncGenerator<Buffer> {
    yield content.subarray(0, begin);
    begun += 1;
    if (begun === crowd) allBegun();
    await all;
    yield* inChunks(content.subarray(begin), 64 * 1024);
  }
  const paths = contents.map((_, n) => `crowd/${n}`);
  await Promise.all(contents.map((content, n) => uploadUnknown(watched(`crowd/${n}`), together(content), plain)));
  for (const [n, content] of contents.entries()) {
    expect(sha256(await container.getBlobClient(`crowd/${n}`).downloadToBuffer())).toBe(sha256(content));
  }
  expect(Math.max(...sizes.slice(0, crowd))).toBe(512 * 1024);
  async function* breaks(): AsyncGenerator<Buffer> {
    yield bytes;
    throw new Error('the source broke off');
  }
  const broken = paths.map((path) => uploadUnknown(watched(`${path}/breaks`), breaks(), plain));
  expect((await Promise.allSettled(broken)).every(({ status }) => status === 'rejected')).toBe(true);
  sizes.length = 0;
  await uploadUnknown(watched('alone'), inChunks(bytes, 64 * 1024), plain);
  expect(sizes).toEqual([2 * mebibyte, 2 * mebibyte, mebibyte + 3]);
});

it('storage that refuses a block is reported, and the source is left', async () => {
  const elsewhere = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('not-there');
  let left = false;
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield randomBytes(mebibyte);
    } finally {
      left = true;
    }
  }
  await expect(uploadUnknown(elsewhere.getBlockBlobClient('any'), endless(), plain)).rejects.toMatchObject({
    statusCode: 404,
  });
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
  await expect(
    uploadUnknown(container.getBlockBlobClient('aborted'), slow(), { ...plain, signal: cut.signal }),
  ).rejects.toThrow(/abort/i);
  expect(await container.getBlobClient('aborted').exists()).toBe(false);
});

it('ends when it is aborted while little of the source has come and no more does', async () => {
  const cut = new AbortController();
  async function* standing(): AsyncGenerator<Buffer> {
    yield randomBytes(1_000);
    setImmediate(() => cut.abort());
    await new Promise(() => undefined);
  }
  await expect(
    uploadUnknown(container.getBlockBlobClient('standing'), standing(), { ...plain, signal: cut.signal }),
  ).rejects.toThrow(/abort/i);
  expect(await container.getBlobClient('standing').exists()).toBe(false);
});

describe.each([
  ['in one request', 1_000],
  ['in blocks', 5 * mebibyte],
])('where others may write the same blob, %s', (way, length) => {
  const content = (letter: string) => inChunks(Buffer.alloc(length, letter), mebibyte);
  const letterOf = async (blob: BlockBlobClient) => (await blob.downloadToBuffer(0, 1)).toString();

  it('creates it without asking, and replaces it only after asking', async () => {
    const blob = container.getBlockBlobClient(`shared/${way}`);
    let asked = 0;
    const mayReplace = async () => {
      asked += 1;
    };
    await uploadUnknown(blob, content('a'), { ...plain, mayReplace });
    expect([await letterOf(blob), asked]).toEqual(['a', 0]);
    await uploadUnknown(blob, content('b'), { ...plain, mayReplace });
    expect([await letterOf(blob), asked]).toEqual(['b', 1]);
  });

  it('leaves what another wrote after the last asking', async () => {
    const blob = container.getBlockBlobClient(`taken/${way}`);
    await uploadUnknown(blob, content('a'), plain);
    let asked = 0;
    const mayReplace = async () => {
      asked += 1;
      if (asked > 1) throw new Error('no longer the one');
      await uploadUnknown(blob, content('c'), plain);
    };
    await expect(uploadUnknown(blob, content('b'), { ...plain, mayReplace })).rejects.toThrow('no longer the one');
    expect(await letterOf(blob)).toBe('c');
  });
});
