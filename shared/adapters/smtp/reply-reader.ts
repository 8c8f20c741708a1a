/** A reply as it came (RFC 5321 section 4.2): its code, and the text behind the code of each line. */
export interface RawReply {
  /** 200 to 599. */
  readonly code: number;
  readonly lines: readonly string[];
}

/** What came is no reply that an SMTP client can follow. */
class BadReply extends Error {
  override readonly name = 'BadReply';
}

/** RFC 5321 section 4.5.3.1.5 allows 512 octets; a challenge of a sign-in may have 12,288 (RFC 4954 section 4). */
const maxLine = 12_300;
/** One reply, EHLO's included, is some kilobytes at most; this stops a server that never ends one. */
const maxReply = 65_536;

const lf = 0x0a;
const cr = 0x0d;

/** Makes replies of the octets of a server: three digits, a hyphen where more lines follow, and the same code in each. */
export class ReplyReader {
  #line: Buffer[] = [];
  #lineLength = 0;
  #code: string | undefined;
  #lines: string[] = [];
  #replyLength = 0;

  /** Whether a reply has begun and not ended. */
  get inReply(): boolean {
    return this.#lineLength > 0 || this.#code !== undefined;
  }

  /** The replies that end in this chunk. Throws BadReply for what is not a reply, and for what is too large. */
  push(chunk: Buffer): RawReply[] {
    const replies: RawReply[] = [];
    let from = 0;
    for (let end = chunk.indexOf(lf); end >= 0; end = chunk.indexOf(lf, from)) {
      this.#add(chunk.subarray(from, end));
      from = end + 1;
      const reply = this.#endLine();
      if (reply) replies.push(reply);
    }
    if (from < chunk.length) this.#add(chunk.subarray(from));
    return replies;
  }

  #add(octets: Buffer): void {
    this.#lineLength += octets.length;
    this.#replyLength += octets.length;
    if (this.#lineLength > maxLine || this.#replyLength > maxReply) throw new BadReply('a reply is too large');
    this.#line.push(octets);
  }

  #endLine(): RawReply | undefined {
    const octets = Buffer.concat(this.#line);
    this.#line = [];
    this.#lineLength = 0;
    const line = textOf(octets.at(-1) === cr ? octets.subarray(0, -1) : octets);
    const match = /^([2-5]\d\d)(?:([ -])(.*))?$/s.exec(line);
    const code = match?.[1];
    if (code === undefined || (this.#code !== undefined && code !== this.#code)) throw new BadReply('not a reply');
    this.#code = code;
    this.#lines.push(match?.[3] ?? '');
    if (match?.[2] === '-') return undefined;
    const reply = { code: Number(code), lines: this.#lines };
    this.#code = undefined;
    this.#lines = [];
    this.#replyLength = 0;
    return reply;
  }
}

/** Replies have no charset of their own (RFC 5321 section 2.4); what is not UTF-8 is taken as Latin-1. */
function textOf(octets: Buffer): string {
  const text = octets.toString('utf8');
  return text.includes('\ufffd') ? octets.toString('latin1') : text;
}
