import { Readable } from 'node:stream';

/** Pieces, of 64 KiB at most, that wait for a sink before the reader stops reading. */
const HIGH_WATER_MARK = 4;

/**
 * Passes bytes on to a consumer that reads them from a stream. `write` returns a promise only where the writer has to
 * wait for the consumer.
 */
export class SinkStream {
  readonly #content: Readable;
  readonly #done: Promise<void>;
  #wake: (() => void) | undefined;
  #consumed = false;

  constructor(consume: (content: Readable) => Promise<void>) {
    // Pieces stay as they are: a stream of bytes would join, and so copy, what waits in it.
    this.#content = new Readable({ objectMode: true, highWaterMark: HIGH_WATER_MARK, read: () => this.#resume() });
    // The consumer hears of an error by its own reading; without a listener it would end the process.
    this.#content.on('error', () => {});
    this.#content.on('close', () => this.#resume());
    this.#done = this.#run(consume);
    this.#done.catch(() => {});
  }

  async #run(consume: (content: Readable) => Promise<void>): Promise<void> {
    try {
      await consume(this.#content);
    } finally {
      this.#consumed = true;
      this.#resume();
    }
  }

  #resume(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Rejects with the consumer's error, or where it stopped reading before the end. */
  write(bytes: Buffer): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    if (this.#consumed || this.#content.destroyed) return this.#stopped();
    return this.#content.push(bytes) ? undefined : this.#drained();
  }

  async #drained(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#consumed || this.#content.destroyed) await this.#stopped();
  }

  async #stopped(): Promise<void> {
    await this.#done;
    throw new Error('The sink did not read a part to its end.');
  }

  /** Ends the content and waits until the consumer is done with it. */
  async end(): Promise<void> {
    this.#content.push(null);
    await this.#done;
    if (!this.#content.readableEnded) await this.#stopped();
  }

  /** Cuts the content: the consumer's reading fails with `reason`. Does not wait. */
  abort(reason: unknown): void {
    this.#content.destroy(reason instanceof Error ? reason : new Error('The reading was cut.', { cause: reason }));
  }
}
