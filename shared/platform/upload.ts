import { randomUUID } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';

/** Longer streams go in blocks of this size; a blob of 50,000 of them holds 48 GiB. */
const blockSize = 1 << 20;

/** Streams up to this size go in one request. */
const wholeSize = 2 * blockSize;

/**
 * Uploads a stream whose length is not known, with three blocks in memory. A short one costs one storage transaction.
 * Answers its bytes.
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
  let head: Buffer[] = [];
  let size = 0;
  let blocks: Blocks | undefined;
  try {
    for await (const chunk of content) {
      size += chunk.length;
      if (blocks) {
        await blocks.add(chunk);
        continue;
      }
      head.push(chunk);
      if (size > wholeSize) {
        blocks = new Blocks(blob, signal);
        for (let next = head.shift(); next; next = head.shift()) await blocks.add(next);
      }
    }
    if (blocks) {
      await blob.commitBlockList(await blocks.end(), options);
    } else {
      const whole = Buffer.concat(head, size);
      head = [];
      await blob.upload(whole, whole.length, options);
    }
    return size;
  } finally {
    await blocks?.idle();
  }
}

/**
 * Two blocks that take turns: one is filled while the other is on its way. The SDK's `uploadStream` keeps what it has
 * read besides the blocks it fills.
 */
class Blocks {
  readonly #blob: BlockBlobClient;
  readonly #signal: AbortSignal;
  readonly #ids: string[] = [];
  /** Ids of one blob have one length, and must not be those of an upload that was cut. */
  readonly #prefix = randomUUID();
  #filling = Buffer.allocUnsafeSlow(blockSize);
  #spare = Buffer.allocUnsafeSlow(blockSize);
  #filled = 0;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(blob: BlockBlobClient, signal: AbortSignal) {
    this.#blob = blob;
    this.#signal = signal;
  }

  async add(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.copy(this.#filling, this.#filled, at);
      at += taken;
      this.#filled += taken;
      if (this.#filled === blockSize) await this.#send();
    }
  }

  /** Ids of the blocks, in order, once all of them are there. */
  async end(): Promise<string[]> {
    if (this.#filled > 0) await this.#send();
    await this.#sending;
    return this.#ids;
  }

  /** Nothing is on its way any more, however it ended. */
  async idle(): Promise<void> {
    await this.#sending.catch(() => undefined);
  }

  async #send(): Promise<void> {
    await this.#sending;
    const id = Buffer.from(`${this.#prefix}:${String(this.#ids.length).padStart(6, '0')}`).toString('base64');
    this.#ids.push(id);
    const bytes = this.#filling.subarray(0, this.#filled);
    this.#sending = this.#blob.stageBlock(id, bytes, bytes.length, { abortSignal: this.#signal });
    // Its failure is met when the next block is full, or at the end.
    this.#sending.catch(() => undefined);
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    this.#filled = 0;
  }
}
