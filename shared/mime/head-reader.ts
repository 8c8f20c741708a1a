import { type BodyCharset, HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import { CR, detectLineEnds, findLine, type LineEnds, needMore } from './line-ends.ts';
import type { Defects } from './mail.ts';

/** A header line longer than this is handed on in pieces. */
const LONG_LINE = 16 * 1024;

/** Bytes of lines that are no fields and may be a body; a longer body needs no end of the header to be one. */
const MAX_HELD = 64 * 1024;

/** The result of reading a piece of a header section. `at`: the next byte to be read. */
export type HeadStep =
  | { readonly kind: 'more'; readonly at: number }
  | { readonly kind: 'wait'; readonly at: number }
  /** The section has ended, and `body` came in front of the byte at `at`. */
  | { readonly kind: 'end'; readonly at: number; readonly body: readonly Buffer[] };

/** Where a header section stands. */
export interface HeadOptions {
  /** The header of the mail itself, which byte order marks and lines of mailbox files may precede. */
  readonly isRoot: boolean;
  readonly bodyCharset: BodyCharset;
  /** Whether a line is a delimiter: it ends a header section that has no empty line. */
  readonly isDelimiter: (line: Buffer, block: HeaderBlock) => boolean;
}

/** Reads one header section (RFC 5322 section 2.2), also one that ends without the empty line. */
export class HeadReader {
  readonly block: HeaderBlock;
  readonly #options: HeadOptions;
  readonly #defects: Defects;
  #lineEnds: LineEnds | undefined;
  #insideLongLine = false;
  #first = true;
  #markLooked = false;
  /** Lines, with their ends, from the first that is no field on: a body without the empty line, or rubbish. */
  #held: Buffer[] = [];
  #heldSize = 0;

  constructor(limits: MimeLimits, defects: Defects, options: HeadOptions) {
    this.block = new HeaderBlock(limits, defects, options.bodyCharset);
    this.#options = options;
    this.#defects = defects;
  }

  /** Lines that are held at the end of the mail: its body. */
  get rest(): readonly Buffer[] {
    return this.#held;
  }

  /** Takes the line at `at`, or a piece of it. */
  read(data: Buffer, at: number, final: boolean): HeadStep {
    if (this.#options.isRoot && !this.#markLooked) {
      const start = afterMark(data, at, final);
      if (start === needMore) return { kind: 'wait', at };
      this.#markLooked = true;
      if (start > at) return this.#skip(start);
    }
    if (this.#lineEnds === undefined) {
      const ends = detectLineEnds(data, at, final);
      if (ends !== needMore) this.#lineEnds = ends;
      else if (data.length - at < LONG_LINE) return { kind: 'wait', at };
    }
    const found = findLine(data, at, this.#lineEnds ?? 'lf', final);
    const whole = found !== undefined || final;
    if (!whole && data.length - at < LONG_LINE) return { kind: 'wait', at };
    let end = found?.end ?? data.length;
    // CRs at the end of the piece may be the beginning of a line end.
    if (!whole) while (end > at && data[end - 1] === CR && data.length - end < 8) end--;
    const line = data.subarray(at, end);
    const next = found?.next ?? Math.max(end, at + 1);
    const continues = this.#insideLongLine;
    this.#insideLongLine = !whole;
    if (continues) return this.#piece(line, { data, at, next });
    if (whole && this.#options.isDelimiter(line, this.block)) {
      // A part without a body has no empty line either (RFC 2046 section 5.1.1).
      if (this.#options.isRoot) this.#defects.add('malformed-header');
      return { kind: 'end', at, body: this.#held };
    }
    if (this.#first && this.#options.isRoot && line.length === 0) {
      const start = afterEmptyLines(data, next, final);
      if (start === needMore) return { kind: 'wait', at };
      if (start !== undefined) return this.#skip(start);
    }
    const isFirst = this.#first;
    this.#first = false;
    if (line.length === 0) {
      return { kind: 'end', at: next, body: this.#held.length === 0 ? [] : [...this.#held, data.subarray(at, next)] };
    }
    if (isFirst && this.#options.isRoot && isMailboxLine(line)) return this.#skip(next);
    return this.#line(line, { data, at, next });
  }

  /** What is in front of the first field, and is not a field. */
  #skip(at: number): HeadStep {
    this.#defects.add('malformed-header');
    return { kind: 'more', at };
  }

  #line(line: Buffer, place: Place): HeadStep {
    const { data, at, next } = place;
    // Behind words of a body, what looks like a field is one only if mails have it.
    if (this.#held.length > 0 && !HeaderBlock.beginsField(line)) return this.#keepForBody(place);
    const outcome = this.block.line(line);
    if (outcome === 'notHeader') {
      this.#insideLongLine = false;
      return { kind: 'end', at, body: [] };
    }
    if (outcome === 'noField') return this.#keepForBody({ data, at, next });
    this.#held = [];
    this.#heldSize = 0;
    return { kind: 'more', at: next };
  }

  #piece(line: Buffer, place: Place): HeadStep {
    if (this.#held.length > 0) return this.#keepForBody(place);
    this.block.more(line);
    return { kind: 'more', at: place.next };
  }

  #keepForBody({ data, at, next }: Place): HeadStep {
    this.#held.push(Buffer.from(data.subarray(at, next)));
    this.#heldSize += next - at;
    if (this.#heldSize <= MAX_HELD) return { kind: 'more', at: next };
    return { kind: 'end', at: next, body: this.#held };
  }
}

interface Place {
  readonly data: Buffer;
  readonly at: number;
  readonly next: number;
}

/** Behind the byte order mark that editors put in front of a file. */
function afterMark(data: Buffer, at: number, final: boolean): number | typeof needMore {
  const mark = [0xef, 0xbb, 0xbf];
  for (const [index, byte] of mark.entries()) {
    if (at + index >= data.length) return final ? at : needMore;
    if (data[at + index] !== byte) return at;
  }
  return at + mark.length;
}

/** Where the first field begins behind empty lines; undefined where no field follows them, but a body. */
function afterEmptyLines(data: Buffer, from: number, final: boolean): number | undefined | typeof needMore {
  let at = from;
  while (at < data.length && (data[at] === CR || data[at] === 0x0a)) at++;
  let end = at;
  while (end < data.length && data[end] !== CR && data[end] !== 0x0a) end++;
  if (end === data.length && !final) return data.length - from < LONG_LINE ? needMore : undefined;
  const line = data.subarray(at, end);
  return HeaderBlock.beginsField(line) || isMailboxLine(line) ? at : undefined;
}

/** The line that mbox files put in front of each mail. */
function isMailboxLine(line: Buffer): boolean {
  return /^>?From /.test(line.toString('latin1', 0, 6)) && !/^>?From\s*:/.test(line.toString('latin1', 0, 32));
}
