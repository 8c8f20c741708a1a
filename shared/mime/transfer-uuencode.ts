import { isUuEnd, uuBegin, uuLine } from './uuencode-lines.ts';

/** Bytes looked at for the line that begins the file. */
const MAX_HELD = 64 * 1024;

/** Anything longer is no line of uuencode, nor one that begins a file. */
const MAX_LINE = 1_024;

/**
 * The old `x-uuencode` in chunks of any size: lines between `begin mode name` and `end`. What stands before is left
 * out, as the tools of its day did. Without a beginning, the lines that are uuencode are decoded; where there are none
 * the bytes stay as they are.
 */
export class UuencodeDecoder {
  readonly #invalid: () => void;
  #carry: Buffer = Buffer.alloc(0);
  #stage: 'before' | 'inside' | 'after' | 'raw' = 'before';
  /** All bytes since the first, until it is known what they are. */
  #held: Buffer[] = [];
  #heldSize = 0;
  /** Decoded lines in front of any beginning, while all lines could be decoded. */
  #headless: Buffer[] | undefined = [];
  #headlessEnded = false;

  constructor(invalid: () => void) {
    this.#invalid = invalid;
  }

  write(bytes: Buffer): Buffer {
    if (this.#stage === 'raw') return bytes;
    if (this.#stage === 'before') {
      this.#held.push(Buffer.from(bytes));
      this.#heldSize += bytes.length;
    }
    const out: Buffer[] = [];
    const data = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    let from = 0;
    for (let at = 0; at < data.length; at++) {
      if (data[at] !== 0x0a && data[at] !== 0x0d) continue;
      this.#line(data.subarray(from, at), out);
      from = at + 1;
    }
    // Beyond a line's length nothing of it is needed.
    this.#carry = Buffer.from(data.subarray(from, from + MAX_LINE));
    if (this.#stage === 'before' && this.#heldSize > MAX_HELD) out.push(this.#withoutBeginning(false));
    return out.length === 1 ? (out[0] ?? Buffer.alloc(0)) : Buffer.concat(out);
  }

  end(): Buffer {
    const out: Buffer[] = [];
    if (this.#stage !== 'raw') this.#line(this.#carry, out);
    this.#carry = Buffer.alloc(0);
    if (this.#stage === 'inside') this.#invalid();
    if (this.#stage === 'before') out.push(this.#withoutBeginning(true));
    return Buffer.concat(out);
  }

  #line(line: Buffer, out: Buffer[]): void {
    if (line.length === 0 || this.#stage === 'after') return;
    if (this.#stage === 'inside') {
      if (isUuEnd(line)) {
        this.#stage = 'after';
        return;
      }
      const bytes = uuLine(line);
      if (bytes) out.push(bytes);
      else this.#invalid();
      return;
    }
    if (uuBegin(line)) {
      this.#stage = 'inside';
      this.#forget();
      return;
    }
    if (this.#headlessEnded || this.#headless === undefined) return;
    const bytes = isUuEnd(line) ? undefined : uuLine(line);
    if (bytes) this.#headless.push(bytes);
    else if (isUuEnd(line)) this.#headlessEnded = true;
    else this.#headless = undefined;
  }

  /** What the held bytes are: a file whose beginning is missing, or none. */
  #withoutBeginning(complete: boolean): Buffer {
    const decoded = this.#headless;
    const raw = Buffer.concat(this.#held);
    this.#forget();
    if (raw.length > 0) this.#invalid();
    const isFile = decoded?.some((bytes) => bytes.length > 0);
    this.#stage = isFile ? (this.#headlessEnded ? 'after' : 'inside') : 'raw';
    if (complete) this.#stage = 'after';
    return isFile ? Buffer.concat(decoded ?? []) : raw;
  }

  #forget(): void {
    this.#held = [];
    this.#heldSize = 0;
    this.#headless = undefined;
  }
}
