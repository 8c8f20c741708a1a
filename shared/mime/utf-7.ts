const PLUS = 0x2b;
const MINUS = 0x2d;

const values = new Int8Array(256).fill(-1);
for (const [value, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  values[letter.charCodeAt(0)] = value;
}

/**
 * UTF-7 (RFC 2152), chunk by chunk. Browsers refuse it, because it hides markup from whoever looks at the bytes; here
 * only the decoded text is looked at. iconv-lite's codec loses characters that fall between two chunks.
 */
export class Utf7Decoder {
  readonly #broken: () => void;
  #shifted = false;
  /** The shift has brought nothing yet: `+-` is a plus sign. */
  #fresh = false;
  #bits = 0;
  #count = 0;

  constructor(broken: () => void) {
    this.#broken = broken;
  }

  write(bytes: Buffer): string {
    const units: number[] = [];
    for (const byte of bytes) this.#add(byte, units);
    return text(units);
  }

  end(): string {
    if (this.#shifted && this.#fresh) this.#broken();
    this.#shifted = false;
    return '';
  }

  #add(byte: number, units: number[]): void {
    if (!this.#shifted) {
      if (byte === PLUS) {
        this.#shifted = true;
        this.#fresh = true;
        this.#bits = 0;
        this.#count = 0;
      } else {
        if (byte > 127) this.#broken();
        units.push(byte > 127 ? 0xfffd : byte);
      }
      return;
    }
    const value = values[byte] ?? -1;
    if (value >= 0) {
      this.#fresh = false;
      this.#bits = ((this.#bits << 6) | value) & 0x3fffff;
      this.#count += 6;
      if (this.#count >= 16) {
        this.#count -= 16;
        units.push((this.#bits >> this.#count) & 0xffff);
      }
      return;
    }
    this.#shifted = false;
    if (this.#fresh) {
      units.push(PLUS);
      if (byte !== MINUS) this.#broken();
    }
    // A minus only ends the shift; anything else stands for itself.
    if (byte !== MINUS) this.#add(byte, units);
  }
}

function text(units: readonly number[]): string {
  const bytes = Buffer.alloc(units.length * 2);
  for (const [index, unit] of units.entries()) bytes.writeUInt16LE(unit, index * 2);
  return bytes.toString('utf16le');
}
