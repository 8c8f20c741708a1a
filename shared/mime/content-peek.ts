/** Keeps the beginning of a content that passes by, up to `limit` bytes. */
export class ContentPeek {
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  write(bytes: Buffer): void {
    if (this.#size >= this.#limit) return;
    const wanted = bytes.subarray(0, this.#limit - this.#size);
    // A copy, because a view would hold on to the whole chunk it was cut from.
    this.#chunks.push(Buffer.from(wanted));
    this.#size += wanted.length;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
