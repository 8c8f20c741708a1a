import { randomUUID } from 'node:crypto';
import type { BlobRequestConditions, BlockBlobClient } from '@azure/storage-blob';
import { untilAborted } from './abort.ts';
import { BoundedTasks } from './concurrency.ts';
import { MemoryShare, type Share } from './memory-share.ts';
import { largeMailFrom, spentBuffers } from './spent-buffers.ts';
import { storageStatus } from './storage.ts';

/** A stream of at most so many bytes goes in one request. A longer one has a share of the memory for blocks. */
const wholeSize = largeMailFrom;

/** So does one of so many blocks: up to 4 MiB, as long as few long ones come at one time. */
const wholeBlocks = 2;

/** Longer ones go in blocks, one being filled while two are under way; a blob of 50,000 of the least holds 24 GiB. */
const concurrentBlocks = 2;
const blocks = new MemoryShare({ bytes: 16 << 20, most: 2 << 20, least: 512 << 10 });

/** Times that a blob which others write as well is looked at again, before that is an error. */
const maxConflicts = 20;

/** How a blob is uploaded. */
export interface UploadOptions {
  readonly contentType: string;
  readonly signal: AbortSignal;
  /**
   * The blob is created only where there is none, by the same one request. Where there is one, its ETag is read, then
   * this is asked, and only then is that very blob replaced; it throws where the caller may no longer write. Absent: the
   * blob is written in any case.
   */
  readonly mayReplace?: () => Promise<void>;
  /** What is kept beside the bytes; asked for once all of them have come. */
  readonly metadata?: () => Readonly<Record<string, string>>;
}

/** Uploads bytes in one request. Throws what `mayReplace` throws. */
export async function uploadWhole(blob: BlockBlobClient, bytes: Buffer, options: UploadOptions): Promise<void> {
  await conditionally(blob, options, async (conditions) => {
    await blob.upload(bytes, bytes.length, { ...requestOptions(options), conditions });
  });
}

/**
 * Uploads a stream whose length is not known, with a few blocks in memory. A short one costs one storage transaction.
 * Answers its bytes. However it ends, the stream is not read on. Throws what `mayReplace` throws.
 */
export async function uploadUnknown(
  blob: BlockBlobClient,
  content: AsyncIterable<Buffer>,
  options: UploadOptions,
): Promise<number> {
  const { signal } = options;
  const chunks = content[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let size = 0;
  let share: Share | undefined;
  try {
    while (!share || size < wholeBlocks * share.size) {
      // A stream that stands still, or comes slowly, must not keep an upload that was aborted.
      const next = await untilAborted(chunks.next(), signal);
      if (next.done) {
        await uploadWhole(blob, Buffer.concat(head, size), options);
        return size;
      }
      head.push(next.value);
      size += next.value.length;
      if (size > wholeSize) {
        spentBuffers(share ? next.value.length : size);
        share ??= blocks.acquire(concurrentBlocks + 1);
      }
    }
    const staged = await stageBlocks(blob, { head, chunks, share }, signal);
    await conditionally(blob, options, async (conditions) => {
      await blob.commitBlockList([...staged.ids], { ...requestOptions(options), conditions });
    });
    return staged.size;
  } finally {
    share?.release();
    const left = chunks.return?.();
    left?.catch(() => undefined);
    if (!signal.aborted) {
      // A source that stands still would be waited for.
      await left;
    }
  }
}

function requestOptions({ contentType, signal, metadata }: UploadOptions) {
  return {
    abortSignal: signal,
    blobHTTPHeaders: { blobContentType: contentType },
    ...(metadata ? { metadata: { ...metadata() } } : {}),
  };
}

/** Carries out a write under the condition that nobody else wrote the blob since this caller was seen to be allowed to. */
async function conditionally(
  blob: BlockBlobClient,
  { mayReplace, signal }: UploadOptions,
  write: (conditions: BlobRequestConditions) => Promise<void>,
): Promise<void> {
  if (!mayReplace) {
    await write({});
    return;
  }
  let conditions: BlobRequestConditions = { ifNoneMatch: '*' };
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      await write(conditions);
      return;
    } catch (error) {
      const status = storageStatus(error);
      if ((status !== 409 && status !== 412) || conflicts >= maxConflicts) {
        throw error;
      }
    }
    // The order matters: whoever takes over first makes `mayReplace` throw, and then writes the blob again.
    const etag = await etagOf(blob, signal);
    await mayReplace();
    conditions = etag === undefined ? { ifNoneMatch: '*' } : { ifMatch: etag };
  }
}

async function etagOf(blob: BlockBlobClient, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await blob.getProperties({ abortSignal: signal })).etag;
  } catch (error) {
    if (storageStatus(error) === 404) {
      return undefined;
    }
    throw error;
  }
}

interface Staged {
  /** Ids of the blocks, in the order of the bytes. */
  readonly ids: readonly string[];
  readonly size: number;
}

/** What is staged: pieces that have come, and those that come. */
interface Unstaged {
  readonly head: Buffer[];
  readonly chunks: AsyncIterator<Buffer>;
  readonly share: Share;
}

/** Stages a stream in blocks. Few buffers are used for all of them: one is filled while the others are sent. */
async function stageBlocks(
  blob: BlockBlobClient,
  { head, chunks, share }: Unstaged,
  signal: AbortSignal,
): Promise<Staged> {
  const ids: string[] = [];
  const staging = new BoundedTasks({ tasks: concurrentBlocks });
  // Storage has answered for what was in them. After a failure none is used again: it may still be read.
  const free: Buffer[] = [];
  let block: Buffer | undefined;
  let held = 0;
  let size = 0;
  const prefix = randomUUID();
  const emptyBlock = () => {
    const { size } = share;
    // Those of another size are left: more mails are large by now, or fewer.
    for (let used = free.pop(); used; used = free.pop()) if (used.length === size) return used;
    return Buffer.allocUnsafeSlow(size);
  };
  const stage = async (full: Buffer) => {
    const bytes = full.subarray(0, held);
    block = undefined;
    held = 0;
    // All ids of one blob have the same length, also those of blocks that an earlier attempt left (Put Block, remarks).
    const id = Buffer.from(prefix + String(ids.length).padStart(48 - prefix.length, '0')).toString('base64');
    ids.push(id);
    await staging.start(async () => {
      await blob.stageBlock(id, bytes, bytes.length, { abortSignal: signal });
      free.push(full);
    });
  };
  const add = async (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && !staging.failed; ) {
      block ??= emptyBlock();
      const copied = chunk.copy(block, held, at);
      at += copied;
      held += copied;
      if (held === block.length) await stage(block);
    }
    size += chunk.length;
  };
  try {
    // Let go of one by one.
    for (let chunk = head.shift(); chunk; chunk = head.shift()) await add(chunk);
    while (!staging.failed) {
      signal.throwIfAborted();
      const next = await untilAborted(chunks.next(), signal);
      if (next.done) {
        break;
      }
      await add(next.value);
      spentBuffers(next.value.length);
    }
    if (block && !staging.failed) {
      await stage(block);
    }
  } finally {
    await staging.idle();
  }
  await staging.finish();
  return { ids, size };
}
