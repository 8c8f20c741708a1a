/** RFC 5322 section 2.1.1: octets of a line without its CRLF. Servers cut or refuse longer ones. */
const maxLineOctets = 998;

const cr = 0x0d;
const lf = 0x0a;

/** Lines ended by CRLF alone: a bare CR or LF is read as a line end by some servers and not by others (SMTP smuggling). */
export function toCrlf(bytes: Buffer): Buffer {
  const ends = new CrlfStream();
  const out = ends.push(bytes);
  const last = bytes.at(-1) === cr ? Buffer.from('\n') : Buffer.alloc(0);
  return last.length === 0 ? out : Buffer.concat([out, last]);
}

/** Makes CRLF of every line end while bytes pass in pieces of any length. */
export class CrlfStream {
  /** The last byte was a CR whose LF may still come. */
  #afterCr = false;
  #last = lf;

  push(chunk: Uint8Array): Buffer {
    let extra = 0;
    let previous = this.#afterCr ? cr : 0;
    // Not `for … of`: it may make an object for each byte.
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (previous === cr ? byte !== lf : byte === lf) extra++;
      previous = byte;
    }
    if (chunk.length > 0) this.#last = previous;
    if (extra === 0) {
      if (chunk.length > 0) this.#afterCr = previous === cr;
      return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    }
    const out = Buffer.allocUnsafe(chunk.length + extra * 2);
    let to = 0;
    previous = this.#afterCr ? cr : 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (previous === cr && byte !== lf) out[to++] = lf;
      else if (previous !== cr && byte === lf) out[to++] = cr;
      out[to++] = byte;
      previous = byte;
    }
    this.#afterCr = previous === cr;
    return out.subarray(0, to);
  }

  /** What the last line lacks of its end. */
  end(): Buffer {
    if (this.#afterCr) return Buffer.from('\n');
    return this.#last === lf ? Buffer.alloc(0) : Buffer.from('\r\n');
  }
}

/** A text with CRLF at the end of every line, whatever ended it before. */
export function textToCrlf(text: string): string {
  return text.replace(/\r\n|\r|\n/g, '\r\n');
}

/** Reads bytes as they pass and names the first thing that is not allowed in 7bit or 8bit text (RFC 2045 section 2.8). */
export class LineCheck {
  #length = 0;
  #previous = 0;
  #line = 1;

  /** What is wrong, or undefined. */
  push(chunk: Uint8Array): string | undefined {
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte === lf) {
        if (this.#previous !== cr) return `line ${this.#line} ends without CR`;
        this.#length = 0;
        this.#line++;
      } else {
        if (this.#previous === cr) return `line ${this.#line} holds a CR`;
        if (byte === 0) return `line ${this.#line} holds a NUL`;
        if (byte !== cr && ++this.#length > maxLineOctets)
          return `line ${this.#line} is longer than ${maxLineOctets} octets`;
      }
      this.#previous = byte;
    }
    return undefined;
  }
}

/** What is not allowed in 7bit or 8bit text (with CRLF lines), or undefined. */
export function lineMistake(bytes: Uint8Array): string | undefined {
  return new LineCheck().push(bytes);
}
