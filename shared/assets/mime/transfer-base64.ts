const WHITE = 64;
const PAD = 65;
const OTHER = 66;

/** What each byte means in base64 (RFC 2045 section 6.8); the two letters of the URL alphabet are taken as well. */
const meaning = new Uint8Array(256).fill(OTHER);
for (const [value, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  meaning[letter.charCodeAt(0)] = value;
}
meaning[0x2d] = 62;
meaning[0x5f] = 63;
for (const white of [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20]) meaning[white] = WHITE;
meaning[0x3d] = PAD;

/**
 * Base64 in chunks of any size. White space is skipped, and so is what is no base64, once `invalid` was told. Padding
 * ends a piece, and another may follow: senders join pieces that were encoded one by one, and the runtime's decoder
 * stops at the first.
 */
export class Base64Decoder {
  readonly #invalid: () => void;
  #bits = 0;
  #letters = 0;

  constructor(invalid: () => void) {
    this.#invalid = invalid;
  }

  write(bytes: Buffer): Buffer {
    const out = Buffer.allocUnsafe(((bytes.length + 3) >> 2) * 3 + 3);
    let length = 0;
    let bits = this.#bits;
    let letters = this.#letters;
    for (let at = 0; at < bytes.length; at++) {
      const value = meaning[bytes[at] ?? 0] ?? OTHER;
      if (value < WHITE) {
        bits = (bits << 6) | value;
        if (++letters === 4) {
          out[length] = bits >> 16;
          out[length + 1] = bits >> 8;
          out[length + 2] = bits;
          length += 3;
          bits = 0;
          letters = 0;
        }
      } else if (value === PAD) {
        length = endPiece(out, length, bits, letters);
        bits = 0;
        letters = 0;
      } else if (value === OTHER) {
        this.#invalid();
      }
    }
    this.#bits = bits;
    this.#letters = letters;
    return out.subarray(0, length);
  }

  end(): Buffer {
    const out = Buffer.allocUnsafe(3);
    if (this.#letters === 1) this.#invalid();
    const length = endPiece(out, 0, this.#bits, this.#letters);
    this.#bits = 0;
    this.#letters = 0;
    return out.subarray(0, length);
  }
}

/** Writes the one or two bytes of an unfinished group of four. */
function endPiece(out: Buffer, at: number, bits: number, letters: number): number {
  if (letters === 2) {
    out[at] = bits >> 4;
    return at + 1;
  }
  if (letters === 3) {
    out[at] = bits >> 10;
    out[at + 1] = bits >> 2;
    return at + 2;
  }
  return at;
}
