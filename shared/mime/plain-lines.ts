import { CR, LF } from './line-ends.ts';

/**
 * Makes text fit for JSON and its readers, chunk by chunk: LF line ends, and no NUL, which no mail may have and few
 * consumers survive. Works on bytes, in place: a text of nothing but CRs makes string functions use a multiple of it.
 */
export class PlainLines {
  readonly #nul: () => void;
  #afterCr = false;

  constructor(nul: () => void) {
    this.#nul = nul;
  }

  /** `bytes` is UTF-8, or any other superset of ASCII, and may be changed. */
  clean(bytes: Buffer): Buffer {
    if (!this.#afterCr && !bytes.includes(CR) && !bytes.includes(0)) return bytes;
    let length = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === 0) {
        this.#nul();
        continue;
      }
      if (byte === CR) bytes[length++] = LF;
      else if (byte !== LF || !this.#afterCr) bytes[length++] = byte;
      this.#afterCr = byte === CR;
    }
    return bytes.subarray(0, length);
  }
}
