import { BoundedTasks } from '../../platform/concurrency.ts';

/** A part up to this many bytes is written while the reader goes on; a larger one is written as it is read. */
const SMALL_PART = 256 << 10;

/** Small parts that are written at one time, and the bytes they may hold together. */
const MAX_WRITES = 8;
const MAX_BYTES = 2 << 20;

/** Writes a part that is there as a whole, or that is still being read. */
export type WritePart = (content: AsyncIterable<Buffer>) => Promise<unknown>;

/**
 * Writes the parts of a mail. Small ones are written several at a time, because a mail of a thousand parts would
 * otherwise wait a thousand times for storage. Memory: `MAX_BYTES` and one small part.
 */
export class PartWrites {
  readonly #writing = new BoundedTasks({ tasks: MAX_WRITES, bytes: MAX_BYTES });

  /**
   * Reads `content` to its end. Resolves when the part is written, or, for a small one, when its writing has begun.
   * Rejects with the error of this part or of one before it.
   */
  async add(content: AsyncIterable<Buffer>, write: WritePart): Promise<void> {
    const chunks = content[Symbol.asyncIterator]();
    const head: Buffer[] = [];
    let size = 0;
    while (size <= SMALL_PART) {
      const next = await chunks.next();
      if (next.done) {
        const bytes = Buffer.concat(head, size);
        await this.#writing.start(() => write(only(bytes)), size);
        return;
      }
      head.push(next.value);
      size += next.value.length;
    }
    await write(headThenRemaining(head, chunks));
  }

  /** Waits until nothing is being written. Rejects with the first error. */
  async finish(): Promise<void> {
    await this.#writing.finish();
  }
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function* headThenRemaining(head: Buffer[], remaining: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield Buffer.concat(head.splice(0));
    for (let next = await remaining.next(); !next.done; next = await remaining.next()) yield next.value;
  } finally {
    await remaining.return?.();
  }
}
