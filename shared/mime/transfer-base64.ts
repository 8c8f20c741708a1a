const LF = 0x0a;
const CR = 0x0d;
const emptyLines = ['\n\n', '\n\r\n'];
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

/** Bytes of plain lines from which on it pays to have the runtime decode them. */
const MIN_PLAIN = 256;

/** Bytes behind padding or an empty line that show whether base64 goes on. */
const MAX_HELD = 1_024;

/** What came of a piece, and how much of it that was. */
interface Decoded {
  readonly bytes: Buffer;
  readonly read: number;
}

/**
 * Base64 in chunks of any size. White space is skipped, and so is what is no base64, once `invalid` was called. Padding
 * ends a piece, and another may follow: senders join pieces that were encoded one by one, and the runtime's decoder
 * stops at the first. What follows padding or an empty line and is plainly text ends it all: mailing lists put their
 * footers there.
 */
export class Base64Decoder {
  readonly #invalid: () => void;
  #bits = 0;
  #letters = 0;
  #urlAlphabet = false;
  #begun = false;
  /** Empty lines stand inside: they say nothing about an end. */
  #spaced = false;
  /** Line ends since the last letter. */
  #lineEnds = 0;
  /** What stands behind a place where a footer may begin. */
  #held: Buffer | undefined;
  #ended = false;

  constructor(invalid: () => void) {
    this.#invalid = invalid;
  }

  write(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    let rest: Buffer = bytes;
    // What is not plain once is not looked at again: a mail of nothing but padding would be, behind each.
    let isPlain = true;
    while (rest.length > 0 && !this.#ended) {
      if (this.#held === undefined) {
        const plain: Decoded | undefined = isPlain ? this.#decodePlain(rest) : undefined;
        isPlain = plain !== undefined;
        const decoded = plain ?? this.#decode(rest, false);
        out.push(decoded.bytes);
        rest = rest.subarray(decoded.read);
        continue;
      }
      const room = MAX_HELD - this.#held.length;
      this.#held = Buffer.concat([this.#held, rest.subarray(0, room)]);
      rest = rest.subarray(room);
      if (this.#held.length >= MAX_HELD) out.push(this.#release(false));
    }
    return out.length === 1 ? (out[0] ?? Buffer.alloc(0)) : Buffer.concat(out);
  }

  end(): Buffer {
    const held = this.#held === undefined ? Buffer.alloc(0) : this.#release(true);
    const out = Buffer.allocUnsafe(3);
    if (this.#letters === 1) this.#invalid();
    const length = endPiece(out, 0, this.#bits, this.#letters);
    this.#bits = 0;
    this.#letters = 0;
    return Buffer.concat([held, out.subarray(0, length)]);
  }

  /** Decodes what was held back, unless it is a footer. */
  #release(complete: boolean): Buffer {
    const held = this.#held ?? Buffer.alloc(0);
    this.#held = undefined;
    if (isFooter(held.toString('latin1'), complete, this.#urlAlphabet)) {
      this.#invalid();
      this.#ended = true;
      return Buffer.alloc(0);
    }
    if (this.#lineEnds >= 2) this.#spaced = true;
    return this.#decode(held, true).bytes;
  }

  /**
   * Has the runtime decode whole groups of letters, where nothing else stands in all of it but line ends: most base64 is
   * so, and this takes a fraction of the time. Undefined where it is not so, or is not worth it.
   */
  #decodePlain(bytes: Buffer): Decoded | undefined {
    if (bytes.length < MIN_PLAIN) return undefined;
    if (this.#letters !== 0) {
      const group = bytes.subarray(0, 4 - this.#letters);
      return group.every(isLetter) ? this.#decode(group, false) : undefined;
    }
    // Two line ends in a row may be the end.
    if (this.#lineEnds > 1 || (this.#lineEnds === 1 && !isLetter(bytes[0]))) return undefined;
    if (emptyLines.some((each) => bytes.includes(each)) || bytes.includes('-') || bytes.includes('_')) return undefined;
    const { read, groups } = wholeGroups(bytes);
    const decoded = Buffer.from(bytes.toString('latin1', 0, read), 'base64');
    // The runtime passes over what is no letter, and ends at padding.
    if (decoded.length !== groups * 3) return undefined;
    this.#begun = true;
    this.#lineEnds = 0;
    return { bytes: decoded, read };
  }

  /** Stops in front of what may be a footer, but with `through`, which is known to have none at its beginning. */
  #decode(bytes: Buffer, through: boolean): Decoded {
    const out = Buffer.allocUnsafe(((bytes.length + 3) >> 2) * 3 + 3);
    let length = 0;
    let bits = this.#bits;
    let letters = this.#letters;
    let at = 0;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      const value = meaning[byte] ?? OTHER;
      if (value < WHITE) {
        this.#begun = true;
        this.#lineEnds = 0;
        if (byte === 0x2d || byte === 0x5f) this.#urlAlphabet = true;
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
        const whole = letters !== 0;
        bits = 0;
        letters = 0;
        if (whole && !through) {
          this.#held = Buffer.alloc(0);
          at++;
          break;
        }
      } else if (value === OTHER) {
        this.#invalid();
      } else if (byte === LF && ++this.#lineEnds === 2 && this.#begun) {
        if (letters !== 0) this.#spaced = true;
        if (through || this.#spaced) continue;
        this.#held = Buffer.alloc(0);
        at++;
        break;
      }
    }
    this.#bits = bits;
    this.#letters = letters;
    return { bytes: out.subarray(0, length), read: at };
  }
}

/**
 * Whether the text behind the end of base64 is not base64. Base64 has no blanks inside its lines, and its lines are
 * full, or end with a whole group of four letters. `complete`: the last line is all there.
 */
function isFooter(text: string, complete: boolean, urlAlphabet: boolean): boolean {
  const lines = text
    .replace(/^=+/, '')
    .split(/[\r\n]+/)
    .map((line) => line.trim());
  if (!complete) lines.pop();
  const letters = urlAlphabet ? /^[A-Za-z0-9_=-]*[A-Za-z0-9_-]={0,3}$/ : /^[A-Za-z0-9+/=]*[A-Za-z0-9+/]={0,3}$/;
  return lines.some((line) => line !== '' && (!letters.test(line) || (!line.includes('=') && line.length % 4 !== 0)));
}

const isLetter = (byte: number | undefined) => byte !== undefined && (meaning[byte] ?? OTHER) < WHITE;

/** Of plain lines: how many groups of four letters they have, and how many bytes end with the last of them. */
function wholeGroups(bytes: Buffer): { readonly read: number; readonly groups: number } {
  let letters = bytes.length - (bytes.at(-1) === CR ? 1 : 0);
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) letters -= bytes[at - 1] === CR ? 2 : 1;
  let read = bytes.length;
  for (let over = letters % 4; over > 0 && read > 0; read -= 1) if (isLetter(bytes[read - 1])) over -= 1;
  while (read > 0 && !isLetter(bytes[read - 1])) read -= 1;
  return { read, groups: Math.floor(letters / 4) };
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
