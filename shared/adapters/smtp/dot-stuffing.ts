const cr = 0x0d;
const lf = 0x0a;
const dot = 0x2e;

const nothing: readonly number[] = [];
const onlyCr: readonly number[] = [cr];
const onlyLf: readonly number[] = [lf];
const onlyDot: readonly number[] = [dot];
const lfDot: readonly number[] = [lf, dot];

/** What is written between two octets of a text, the end of a line before a dot among them. */
function inFront(last: number, octet: number): readonly number[] {
  if (last === cr && octet !== lf) return octet === dot ? lfDot : onlyLf;
  if (octet === lf && last !== cr) return onlyCr;
  return octet === dot && last === lf ? onlyDot : nothing;
}

/**
 * Makes the text of a mail fit for DATA (RFC 5321 section 4.5.2): a dot in front of each line that begins with one. Texts
 * have CRLF line ends; a bare CR or LF becomes CRLF all the same, since some servers take it for the end of a line and
 * others do not (SMTP smuggling).
 */
export class DotStuffing {
  /** The last octet written; a text begins like a line. */
  #last = lf;

  /** The piece itself where nothing is to be added: most of a large mail is base64, and copies of it all are garbage. */
  push(chunk: Buffer): Buffer {
    let last = this.#last;
    let added = 0;
    // Not `for … of`: it may make an object for each octet.
    for (let at = 0; at < chunk.length; at += 1) {
      const octet = chunk[at] ?? 0;
      added += inFront(last, octet).length;
      last = octet;
    }
    const out = added === 0 ? chunk : Buffer.allocUnsafe(chunk.length + added);
    if (added > 0) this.#write(chunk, out);
    this.#last = last;
    return out;
  }

  #write(chunk: Buffer, out: Buffer): void {
    let last = this.#last;
    let to = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const octet = chunk[at] ?? 0;
      for (const each of inFront(last, octet)) out[to++] = each;
      out[to++] = octet;
      last = octet;
    }
  }

  /** The end of the text. */
  end(): Buffer {
    if (this.#last === lf) return Buffer.from('.\r\n');
    return Buffer.from(this.#last === cr ? '\n.\r\n' : '\r\n.\r\n');
  }
}
