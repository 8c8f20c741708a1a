const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;

/** Blanks held back because a line end may follow, which they are no part of (RFC 2045 section 6.7, rule 3). */
const MAX_HELD_BLANKS = 998;

type State = 'text' | 'equals' | 'hex' | 'equalsBlank' | 'softCr';

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}

/**
 * Quoted-printable (RFC 2045 section 6.7) in chunks of any size. What is no escape stays as it is, once `invalid` was
 * reported. Line ends stay as they came; soft ones may be CRLF, LF or CR, with blanks in front.
 */
export class QuotedPrintableDecoder {
  readonly #invalid: () => void;
  #state: State = 'text';
  #first = 0;
  /** Blanks at the end of the chunk before, or those after an `=`. */
  #held: Buffer = Buffer.alloc(0);

  constructor(invalid: () => void) {
    this.#invalid = invalid;
  }

  write(bytes: Buffer): Buffer {
    // Every byte yields at most itself, besides what earlier ones held back: blanks, and `=` with one more.
    const out = Buffer.allocUnsafe(bytes.length + this.#held.length + 2);
    let length = 0;
    // Blanks before this point do not belong to the end of a line.
    let floor = 0;
    if (this.#state === 'text') {
      length = this.#held.copy(out);
      this.#held = this.#held.subarray(0, 0);
    }
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'text') {
        // The inner loop does most of the work: it copies to the next escape.
        while (at < bytes.length) {
          const byte = bytes[at++] ?? 0;
          if (byte === EQUALS) {
            this.#state = 'equals';
            floor = length;
            break;
          }
          if (byte === LF || byte === CR) while (length > floor && isBlank(out[length - 1])) length--;
          out[length++] = byte;
        }
        continue;
      }
      const byte = bytes[at] ?? 0;
      if (this.#state === 'equals') {
        at++;
        if (hexValue(byte) >= 0) {
          this.#first = byte;
          this.#state = 'hex';
        } else if (byte === CR || byte === LF) {
          this.#state = byte === CR ? 'softCr' : 'text';
        } else if (isBlank(byte)) {
          this.#held = Buffer.from([byte]);
          this.#state = 'equalsBlank';
        } else {
          at--;
          this.#invalid();
          out[length++] = EQUALS;
          this.#state = 'text';
        }
      } else if (this.#state === 'hex') {
        const low = hexValue(byte);
        if (low >= 0) {
          at++;
          out[length++] = (hexValue(this.#first) << 4) | low;
        } else {
          this.#invalid();
          out[length++] = EQUALS;
          out[length++] = this.#first;
        }
        this.#state = 'text';
      } else if (this.#state === 'equalsBlank') {
        if (isBlank(byte) && this.#held.length < MAX_HELD_BLANKS) {
          at++;
          this.#held = Buffer.concat([this.#held, bytes.subarray(at - 1, at)]);
          continue;
        }
        if (byte === CR || byte === LF) {
          at++;
          this.#state = byte === CR ? 'softCr' : 'text';
        } else {
          this.#invalid();
          out[length++] = EQUALS;
          length += this.#held.copy(out, length);
          this.#state = 'text';
        }
        this.#held = this.#held.subarray(0, 0);
      } else {
        // After a soft CR: an LF belongs to it, anything else begins the next line.
        if (byte === LF) at++;
        this.#state = 'text';
      }
      floor = length;
    }
    return out.subarray(0, this.#state === 'text' ? this.#keepBlanks(out, floor, length) : length);
  }

  /** Keeps the blanks at the end, which a line end may follow in the next chunk. Answers what is left. */
  #keepBlanks(out: Buffer, floor: number, length: number): number {
    let end = length;
    while (end > floor && length - end < MAX_HELD_BLANKS && isBlank(out[end - 1])) end--;
    this.#held = Buffer.from(out.subarray(end, length));
    return end;
  }

  /** What is still held back: blanks and a lone `=` at the end mean nothing, half an escape stays as it is. */
  end(): Buffer {
    const rest = this.#state === 'hex' ? Buffer.from([EQUALS, this.#first]) : Buffer.alloc(0);
    if (rest.length > 0) this.#invalid();
    this.#state = 'text';
    this.#held = Buffer.alloc(0);
    return rest;
  }
}
