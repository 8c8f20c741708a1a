import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';

/** Streams up to this size go in one request. */
const wholeSize = 4 << 20;

/** Longer ones go in blocks of this size, two under way at a time; a blob of 50,000 of them holds 97 GiB. */
const blockSize = 2 << 20;

/**
 * Uploads a stream whose length is not known, with a few blocks in memory. A short one costs one storage
 * transaction. Answers its bytes. However it ends, the stream is not read on.
 */
export async function uploadUnknown(
  container: ContainerClient,
  path: string,
  content: AsyncIterable<Buffer>,
  contentType: string,
  signal: AbortSignal,
): Promise<number> {
  const blob = container.getBlockBlobClient(path);
  const options = { abortSignal: signal, blobHTTPHeaders: { blobContentType: contentType } };
  const head: Buffer[] = [];
  let size = 0;
  const chunks = content[Symbol.asyncIterator]();
  while (size < wholeSize) {
    const next = await chunks.next();
    if (next.done) {
      const whole = Buffer.concat(head, size);
      await blob.upload(whole, whole.length, options);
      return size;
    }
    head.push(next.value);
    size += next.value.length;
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      yield Buffer.concat(head.splice(0));
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        size += next.value.length;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }
  const stream = Readable.from(all(), { objectMode: false });
  const cut = () => stream.destroy(asError(signal.reason));
  signal.addEventListener('abort', cut, { once: true });
  try {
    signal.throwIfAborted();
    await blob.uploadStream(stream, blockSize, 2, options);
    return size;
  } finally {
    signal.removeEventListener('abort', cut);
    stream.destroy();
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('The upload was cut', { cause: reason });
}
