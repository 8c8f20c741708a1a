import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { PartWrites } from './part-writes.ts';

async function* chunksOf(size: number, chunk = 64 << 10): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += chunk) yield Buffer.alloc(Math.min(chunk, size - at), at / chunk);
}

/** Storage that answers only when it is asked to. */
class SlowStorage {
  readonly #waiting: (() => void)[] = [];
  readonly written: number[] = [];
  open = 0;
  most = 0;
  mostBytes = 0;
  #bytes = 0;

  readonly write = async (content: AsyncIterable<Buffer>): Promise<void> => {
    this.most = Math.max(this.most, ++this.open);
    const bytes = await buffer(content);
    this.#bytes += bytes.length;
    this.mostBytes = Math.max(this.mostBytes, this.#bytes);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#bytes -= bytes.length;
    this.open--;
    this.written.push(bytes.length);
  };

  get waiting(): number {
    return this.#waiting.length;
  }

  answer(): void {
    this.#waiting.shift()?.();
  }
}

async function drain(storage: SlowStorage, context: Promise<unknown>): Promise<void> {
  let done = false;
  const ended = context.finally(() => {
    done = true;
  });
  while (!done) {
    storage.answer();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
}

test('small parts are written several at a time: the reader does not wait for each', async () => {
  const storage = new SlowStorage();
  const writes = new PartWrites();
  for (let n = 0; n < 8; n++) await writes.add(chunksOf(1_000 + n), storage.write);
  await expect.poll(() => storage.waiting).toBe(8);
  const context = (async () => {
    for (let n = 8; n < 1_001; n++) await writes.add(chunksOf(1_000 + n), storage.write);
    await writes.finish();
  })();
  await drain(storage, context);
  expect(storage.most).toBe(8);
  expect(storage.written.sort((a, b) => a - b)).toEqual(Array.from({ length: 1_001 }, (_, n) => 1_000 + n));
});

test('their bytes are bounded', async () => {
  const storage = new SlowStorage();
  const writes = new PartWrites();
  const context = (async () => {
    for (let n = 0; n < 50; n++) await writes.add(chunksOf((500 << 10) >> 1), storage.write);
    await writes.finish();
  })();
  await drain(storage, context);
  expect(storage.written).toHaveLength(50);
  expect(storage.mostBytes).toBeLessThanOrEqual(2 << 20);
});

test('a large part is written as it is read, and whole', async () => {
  const writes = new PartWrites();
  let got: Buffer | undefined;
  await writes.add(chunksOf(3 << 20), async (content) => {
    got = await buffer(content);
  });
  expect(got).toEqual(await buffer(chunksOf(3 << 20)));
});

test('a part is small up to 256 KiB: only one that is larger is waited for', async () => {
  const storage = new SlowStorage();
  const writes = new PartWrites();
  await writes.add(chunksOf(256 << 10), storage.write);
  let added = false;
  const larger = writes.add(chunksOf((256 << 10) + 1), storage.write).then(() => {
    added = true;
  });
  await expect.poll(() => storage.waiting).toBe(2);
  expect(added).toBe(false);
  await drain(storage, Promise.all([larger, writes.finish()]));
  expect(storage.written).toEqual([256 << 10, (256 << 10) + 1]);
});

test('a large part that is not written to its end is let go', async () => {
  let open = true;
  const chunks = async function* () {
    try {
      yield* chunksOf(3 << 20);
    } finally {
      open = false;
    }
  };
  const writes = new PartWrites();
  const refuse = async (content: AsyncIterable<Buffer>) => {
    for await (const _ of content) throw new Error('no room');
  };
  await expect(writes.add(chunks(), refuse)).rejects.toThrow('no room');
  expect(open).toBe(false);
});

test('an error comes out, after everything else has ended', async () => {
  const storage = new SlowStorage();
  const writes = new PartWrites();
  await writes.add(chunksOf(10), storage.write);
  await writes.add(chunksOf(10), () => Promise.reject(new Error('no room')));
  await expect.poll(() => storage.waiting).toBe(1);
  await expect(writes.add(chunksOf(10), storage.write)).rejects.toThrow('no room');
  const finished = writes.finish();
  finished.catch(() => undefined);
  expect(storage.written).toEqual([]);
  storage.answer();
  await expect(finished).rejects.toThrow('no room');
  expect(storage.written).toEqual([10]);
});

test('an error of the source comes out', async () => {
  const writes = new PartWrites();
  const broken = async function* () {
    yield Buffer.from('x');
    throw new Error('line dropped');
  };
  await expect(writes.add(broken(), async (content) => void (await buffer(content)))).rejects.toThrow('line dropped');
  await writes.finish();
});
