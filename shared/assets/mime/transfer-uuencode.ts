/** A line carries at most 45 bytes in 61 characters; anything longer is no line of uuencode. */
const MAX_LINE = 256;

/**
 * The old `x-uuencode` in chunks of any size: lines between `begin mode name` and `end`. What stands before is left
 * out, as the tools of its day did.
 */
export class UuencodeDecoder {
  readonly #invalid: () => void;
  #line = Buffer.allocUnsafe(MAX_LINE);
  #length = 0;
  #stage: 'before' | 'inside' | 'after' = 'before';
  #empty = true;

  constructor(invalid: () => void) {
    this.#invalid = invalid;
  }

  write(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    for (const byte of bytes) {
      if (byte === 0x0a || byte === 0x0d) this.#endLine(out);
      else if (this.#length < MAX_LINE) this.#line[this.#length++] = byte;
    }
    return out.length === 1 ? (out[0] ?? Buffer.alloc(0)) : Buffer.concat(out);
  }

  end(): Buffer {
    const out: Buffer[] = [];
    this.#endLine(out);
    if (this.#stage !== 'after' && !this.#empty) this.#invalid();
    return Buffer.concat(out);
  }

  #endLine(out: Buffer[]): void {
    const line = this.#line.subarray(0, this.#length);
    this.#length = 0;
    if (line.length === 0) return;
    this.#empty = false;
    if (this.#stage === 'before') {
      if (/^begin [0-7]{3,4} /.test(line.toString('latin1'))) this.#stage = 'inside';
    } else if (this.#stage === 'inside') {
      if (line.toString('latin1') === 'end') this.#stage = 'after';
      else out.push(decodeLine(line));
    }
  }
}

function decodeLine(line: Buffer): Buffer {
  const size = ((line[0] ?? 0x20) - 0x20) & 0x3f;
  const out = Buffer.alloc(size);
  const six = (at: number) => ((line[at] ?? 0x20) - 0x20) & 0x3f;
  for (let from = 1, to = 0; to < size; from += 4, to += 3) {
    const group = (six(from) << 18) | (six(from + 1) << 12) | (six(from + 2) << 6) | six(from + 3);
    out[to] = group >> 16;
    if (to + 1 < size) out[to + 1] = group >> 8;
    if (to + 2 < size) out[to + 2] = group;
  }
  return out;
}
