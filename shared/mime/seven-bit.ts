import { quotedPrintableLine } from './quoted-printable-line.ts';

/**
 * Why a mail cannot be written in seven bits. `signed`: a signature covers what would be changed. `headers`: they have
 * octets outside ASCII. `structure`: its parts cannot be separated, or one of them may not be encoded.
 */
export type SevenBitProblem = 'signed' | 'headers' | 'structure';

class CannotConvert extends Error {
  readonly problem: SevenBitProblem;
  constructor(problem: SevenBitProblem) {
    super(`cannot be written in seven bits: ${problem}`);
    this.problem = problem;
  }
}

/** A mail in seven bits: parts with octets outside ASCII are quoted-printable (RFC 2045 section 6.7). */
export interface SevenBitForm {
  /** Octets. */
  readonly size: number;
  /** The text, from the original's. */
  text(original: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer>;
}

/**
 * Finds out how a mail is written in seven bits; reads it twice, in pieces, and keeps a header in memory at most. The decoded parts
 * stay the same, octet by octet. Rejects where the text cannot be read.
 */
export async function sevenBitForm(
  open: () => Promise<AsyncIterable<Uint8Array>>,
): Promise<SevenBitForm | { readonly problem: SevenBitProblem }> {
  try {
    const look = new Rewriter(undefined);
    for await (const line of linesOf(await open())) look.line(line);
    const encoded = look.eightBit;
    const text = (original: AsyncIterable<Uint8Array>) => rewritten(original, encoded);
    let size = 0;
    for await (const chunk of text(await open())) size += chunk.length;
    return { size, text };
  } catch (error) {
    if (error instanceof CannotConvert) return { problem: error.problem };
    throw error;
  }
}

async function* rewritten(original: AsyncIterable<Uint8Array>, encoded: ReadonlySet<number>): AsyncGenerator<Buffer> {
  const rewriter = new Rewriter(encoded);
  for await (const line of linesOf(original)) {
    const out = rewriter.line(line);
    if (out.length > 0) yield out;
  }
  const rest = rewriter.end();
  if (rest.length > 0) yield rest;
}

const lf = 0x0a;
/** Far beyond the 998 octets that a mail's line may have (RFC 5322 section 2.1.1). */
const maxLine = 100_000;
const maxHeader = 1_000_000;

/** Lines with their ends. */
async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let begun: Buffer = Buffer.alloc(0);
  for await (const piece of source) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    let from = 0;
    for (let end = chunk.indexOf(lf); end >= 0; end = chunk.indexOf(lf, from)) {
      const line = chunk.subarray(from, end + 1);
      yield begun.length === 0 ? line : Buffer.concat([begun, line]);
      begun = Buffer.alloc(0);
      from = end + 1;
    }
    if (from < chunk.length) begun = Buffer.concat([begun, chunk.subarray(from)]);
    if (begun.length > maxLine) throw new CannotConvert('structure');
  }
  if (begun.length > 0) yield begun;
}

const nothing = Buffer.alloc(0);
const isEightBit = (octets: Buffer): boolean => octets.some((octet) => octet > 127);
const withoutEnd = (line: Buffer): string => line.toString('latin1').replace(/\r?\n$/, '');

interface Multipart {
  readonly delimiter: string;
  readonly subtype: string;
}

/** Signatures of a whole mail in its header (RFC 6376, RFC 8617). */
const signatures: ReadonlySet<string> = new Set([
  'dkim-signature',
  'domainkey-signature',
  'arc-seal',
  'arc-message-signature',
]);
/** In these a mail follows, with a header of its own; nothing else of message/* may be encoded (RFC 2046 section 5.2). */
const mails: ReadonlySet<string> = new Set(['message/rfc822', 'message/news']);

/** Goes through a mail line by line. `encoded`: the parts, by number, that become quoted-printable; undefined: only look. */
class Rewriter {
  /** Parts with octets outside ASCII, by number. */
  readonly eightBit = new Set<number>();
  readonly #encoded: ReadonlySet<number> | undefined;
  readonly #open: Multipart[] = [];
  #state: 'header' | 'leaf' | 'between' = 'header';
  #header: Buffer[] = [];
  #headerSize = 0;
  #leaf = -1;
  /** The part's octets may be encoded as another form. */
  #mayEncode = false;

  constructor(encoded: ReadonlySet<number> | undefined) {
    this.#encoded = encoded;
  }

  line(line: Buffer): Buffer {
    const found = this.#delimiterOf(line);
    if (found) {
      const before = this.#state === 'header' ? this.#endHeader(nothing) : nothing;
      this.#open.length = found.closing ? found.depth : found.depth + 1;
      this.#state = found.closing ? 'between' : 'header';
      return before.length === 0 ? line : Buffer.concat([before, line]);
    }
    if (this.#state === 'header') return this.#headerLine(line);
    if (this.#state === 'between') return isEightBit(line) ? ascii(line) : line;
    if (this.#encoded?.has(this.#leaf)) return quotedPrintableLine(line);
    if (this.#encoded === undefined && !this.eightBit.has(this.#leaf) && isEightBit(line)) {
      if (!this.#mayEncode) throw new CannotConvert('structure');
      this.eightBit.add(this.#leaf);
    }
    return line;
  }

  /** What is left of a mail that ends within a header. */
  end(): Buffer {
    return this.#state === 'header' ? this.#endHeader(nothing) : nothing;
  }

  #delimiterOf(line: Buffer): { readonly depth: number; readonly closing: boolean } | undefined {
    if (line[0] !== 0x2d || line[1] !== 0x2d) return undefined;
    const text = withoutEnd(line).trimEnd();
    for (let depth = this.#open.length - 1; depth >= 0; depth -= 1) {
      const delimiter = this.#open[depth]?.delimiter;
      if (text === delimiter) return { depth, closing: false };
      if (text === `${delimiter}--`) return { depth, closing: true };
    }
    return undefined;
  }

  #headerLine(line: Buffer): Buffer {
    if (withoutEnd(line) === '') return this.#endHeader(line);
    if (isEightBit(line)) throw new CannotConvert('headers');
    this.#headerSize += line.length;
    if (this.#headerSize > maxHeader) throw new CannotConvert('structure');
    this.#header.push(line);
    return nothing;
  }

  /** Decides what follows the header, and answers it with `blank`, its encoding being what is said of it. */
  #endHeader(blank: Buffer): Buffer {
    const fields = fieldsOf(Buffer.concat(this.#header).toString('latin1'));
    this.#header = [];
    this.#headerSize = 0;
    const value = (name: string) => fields.find((field) => field.name === name)?.value;
    if (fields.some(({ name }) => signatures.has(name))) throw new CannotConvert('signed');
    const inDigest = this.#open.at(-1)?.subtype === 'digest';
    const contentType = value('content-type') ?? (inDigest ? 'message/rfc822' : 'text/plain');
    const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
    const encoding = (value('content-transfer-encoding') ?? '7bit').trim().toLowerCase();
    const plain = encoding === '7bit' || encoding === '8bit' || encoding === 'binary';
    if (type === 'multipart/signed') throw new CannotConvert('signed');
    let is = encoding === '8bit' || encoding === 'binary' ? '7bit' : undefined;
    if (type.startsWith('multipart/')) {
      const boundary = boundaryOf(contentType);
      if (boundary === undefined || !plain) throw new CannotConvert('structure');
      this.#open.push({ delimiter: `--${boundary}`, subtype: type.slice('multipart/'.length) });
      this.#state = 'between';
    } else if (mails.has(type) && plain) {
      this.#state = 'header';
    } else {
      this.#leaf += 1;
      this.#state = 'leaf';
      this.#mayEncode = plain && !type.startsWith('message/');
      if (this.#encoded?.has(this.#leaf)) is = 'quoted-printable';
    }
    const kept = is === undefined ? fields : fields.filter(({ name }) => name !== 'content-transfer-encoding');
    const added = is === undefined ? '' : `Content-Transfer-Encoding: ${is}\r\n`;
    return Buffer.concat([Buffer.from(kept.map(({ text }) => text).join('') + added, 'latin1'), blank]);
  }
}

interface Field {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
  /** As it stands, with its line ends. */
  readonly text: string;
}

function fieldsOf(header: string): readonly Field[] {
  const texts: string[] = [];
  for (const line of header.split(/(?<=\n)/)) {
    if (/^[ \t]/.test(line) && texts.length > 0) texts.push(`${texts.pop()}${line}`);
    else if (line !== '') texts.push(line);
  }
  return texts.map((text) => {
    const colon = text.indexOf(':');
    const value = text.slice(colon + 1).replace(/\r?\n/g, '');
    return { name: text.slice(0, Math.max(0, colon)).trim().toLowerCase(), value, text };
  });
}

function boundaryOf(contentType: string): string | undefined {
  const match = /;[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  return match?.[1]?.trimEnd() ?? match?.[2];
}

/** What stands between parts is shown to nobody. */
function ascii(line: Buffer): Buffer {
  return Buffer.from(line.map((octet) => (octet > 127 ? 0x3f : octet)));
}
