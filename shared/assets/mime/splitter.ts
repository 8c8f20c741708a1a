import { Delimiters, type Match } from './delimiters.ts';
import { HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import {
  beforeLineEnd,
  CR,
  detectLineEnds,
  findAnyLineEnd,
  findLine,
  LF,
  type LineEnds,
  needMore,
} from './line-ends.ts';
import type { Defects } from './mail.ts';
import { type PartHeader, readPartHeader } from './part-header.ts';

/** Where a part stands in the mail. */
export interface PartPlace {
  /** Subtype of the multipart around it; undefined for the mail itself. */
  readonly parent: string | undefined;
  /** Counts from 0 within that multipart. */
  readonly index: number;
}

/** What the splitter finds, in the order of the mail. `body` and `end` belong to the last `part`. */
export type SplitEvent =
  | { readonly kind: 'multipart'; readonly header: PartHeader }
  | { readonly kind: 'part'; readonly header: PartHeader; readonly place: PartPlace }
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'end' };

/** A header line longer than this is handed on in pieces. */
const LONG_LINE = 16 * 1024;

type State = 'head' | 'body' | 'preamble' | 'epilogue' | 'rest';

/** Header of a part that has none of its own: text in front of a delimiter, or what follows the last part taken. */
function madeUpHeader(contentType: string, encoding: string): PartHeader {
  return {
    contentType,
    charset: undefined,
    boundary: undefined,
    smimeType: undefined,
    reportType: undefined,
    encoding,
    disposition: undefined,
    filename: undefined,
    contentId: undefined,
  };
}

/**
 * Splits a mail into its parts (RFC 2046 section 5.1) as its bytes come, holding back no more than a delimiter line.
 *
 * mailsplit, which does the same, gives up with an error where a limit is exceeded (a header of more than a megabyte,
 * more than a thousand parts), does not know lines that end in a CR alone, drops what stands in a multipart without
 * delimiters, and compares each line with every open multipart. Here each of these is an asset with a defect, in
 * linear time. A message inside the message stays one part.
 */
export class MimeSplitter {
  /** The header of the mail. */
  readonly root: HeaderBlock;
  readonly #limits: MimeLimits;
  readonly #defects: Defects;
  readonly #delimiters = new Delimiters();
  #events: SplitEvent[] = [];
  #carry: Buffer | undefined;
  #state: State = 'head';
  #block: HeaderBlock;
  #lineEnds: LineEnds | undefined;
  #insideLongLine = false;
  #firstLine = true;
  /** Whether the byte before the first one not yet consumed ended a line. */
  #atLineStart = true;
  #partOpen = false;
  #parts = 0;
  #preamble: Buffer[] = [];
  #preambleSize = 0;
  #preambleEncoding = '';

  constructor(limits: MimeLimits, defects: Defects) {
    this.#limits = limits;
    this.#defects = defects;
    this.root = new HeaderBlock(limits, defects);
    this.#block = this.root;
  }

  /** Takes the next bytes; answers what was found. Bodies in the answer are views of `chunk`. */
  push(chunk: Buffer): readonly SplitEvent[] {
    return this.#consume(chunk, false);
  }

  /** Ends the mail. */
  end(): readonly SplitEvent[] {
    const events = [...this.#consume(Buffer.alloc(0), true)];
    this.#events = events;
    if (this.#state === 'head') this.#endHeader();
    this.#endPart();
    if (this.#delimiters.unclosed && this.#state !== 'rest') this.#defects.add('truncated');
    return events;
  }

  #consume(chunk: Buffer, final: boolean): readonly SplitEvent[] {
    this.#events = [];
    const data = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk]);
    let at = 0;
    while (at < data.length) {
      const next = this.#state === 'head' ? this.#headLine(data, at, final) : this.#content(data, at, final);
      if (next.wait) {
        at = next.at;
        break;
      }
      at = next.at;
    }
    this.#carry = at < data.length ? Buffer.from(data.subarray(at)) : undefined;
    return this.#events;
  }

  #headLine(data: Buffer, at: number, final: boolean): { at: number; wait: boolean } {
    if (this.#lineEnds === undefined) {
      const ends = detectLineEnds(data, at, final);
      if (ends !== needMore) this.#lineEnds = ends;
      else if (data.length - at < LONG_LINE) return { at, wait: true };
    }
    const found = findLine(data, at, this.#lineEnds ?? 'lf', final);
    if (found === undefined && !final && data.length - at < LONG_LINE) return { at, wait: true };
    let end = found?.end ?? data.length;
    if (found === undefined && !final) while (end > at && data[end - 1] === CR && data.length - end < 8) end--;
    const line = data.subarray(at, end);
    const next = found?.next ?? Math.max(end, at + 1);
    if (this.#insideLongLine) {
      this.#block.more(line);
      this.#insideLongLine = found === undefined && !final;
      return { at: next, wait: false };
    }
    this.#insideLongLine = found === undefined && !final;
    const match = found !== undefined || final ? this.#delimiter(line) : undefined;
    if (match !== undefined) {
      this.#endHeader();
      this.#meet(match);
      return { at: next, wait: false };
    }
    const isFirst = this.#firstLine;
    this.#firstLine = false;
    if (line.length === 0) {
      this.#endHeader();
    } else if (
      isFirst &&
      /^>?From /.test(line.toString('latin1', 0, 6)) &&
      !/^>?From\s*:/.test(line.toString('latin1', 0, 32))
    ) {
      // The line that mbox files put in front of each mail.
    } else if (this.#block.line(line) === 'notHeader') {
      this.#insideLongLine = false;
      this.#endHeader();
      return { at, wait: false };
    }
    return { at: next, wait: false };
  }

  #delimiter(line: Buffer): Match | undefined {
    if (line[0] !== 0x2d || line[1] !== 0x2d || this.#delimiters.depth === 0) return undefined;
    return line.length <= this.#delimiters.maxLine ? this.#delimiters.match(line.toString('latin1')) : undefined;
  }

  #endHeader(): void {
    const outer = this.#delimiters.innermost;
    const place: PartPlace = { parent: outer?.subtype, index: Math.max(0, (outer?.parts ?? 0) - 1) };
    const defaultType = outer?.subtype === 'digest' ? 'message/rfc822' : 'text/plain';
    let header = readPartHeader(this.#block, defaultType, this.#defects);
    this.#lineEnds = undefined;
    this.#atLineStart = true;
    if (header.contentType.startsWith('multipart/')) {
      if (header.boundary === undefined) {
        this.#defects.add('missing-boundary');
        // No client can split it; it reads as plain text (RFC 2045 section 5.2).
        header = { ...header, contentType: 'text/plain' };
      } else if (this.#delimiters.depth < this.#limits.depth) {
        this.#delimiters.push(header.boundary, header.contentType.slice('multipart/'.length));
        this.#preambleEncoding = header.encoding;
        this.#state = 'preamble';
        this.#events.push({ kind: 'multipart', header });
        return;
      } else {
        this.#defects.add('too-deep');
      }
    }
    this.#beginPart(header, place);
  }

  #beginPart(header: PartHeader, place: PartPlace): void {
    this.#state = 'body';
    this.#partOpen = true;
    this.#parts++;
    this.#events.push({ kind: 'part', header, place });
  }

  /** Ends what is open: a part, or a multipart in which no delimiter came, whose preamble is then its body. */
  #endPart(): void {
    if (this.#state === 'preamble' && this.#preamble.some((bytes) => !isBlank(bytes))) this.#preambleAsPart();
    this.#preamble = [];
    this.#preambleSize = 0;
    if (this.#partOpen) this.#events.push({ kind: 'end' });
    this.#partOpen = false;
  }

  #preambleAsPart(): void {
    this.#defects.add('missing-boundary');
    const place = { parent: this.#delimiters.innermost?.subtype, index: 0 };
    this.#beginPart(madeUpHeader('text/plain', this.#preambleEncoding), place);
    for (const bytes of this.#preamble) this.#events.push({ kind: 'body', bytes });
    this.#preamble = [];
    this.#preambleSize = 0;
  }

  /** Handles a delimiter line. */
  #meet(match: Match): void {
    const multipart = this.#delimiters.at(match.depth);
    if (multipart === undefined) return;
    if (this.#state === 'preamble' && match.depth === this.#delimiters.depth - 1 && !match.closing) {
      // A real preamble: for readers that know no MIME (RFC 2046 section 5.1.1).
      this.#preamble = [];
      this.#preambleSize = 0;
      this.#state = 'epilogue';
    }
    this.#endPart();
    this.#delimiters.truncate(match.depth + 1);
    this.#atLineStart = true;
    multipart.closed = match.closing;
    if (match.closing) {
      this.#state = 'epilogue';
      return;
    }
    multipart.parts++;
    if (this.#parts >= this.#limits.parts) {
      this.#defects.add('too-many-parts');
      this.#delimiters.truncate(0);
      this.#beginPart(madeUpHeader('application/octet-stream', ''), { parent: undefined, index: 0 });
      this.#state = 'rest';
      return;
    }
    this.#block = new HeaderBlock(this.#limits, this.#defects);
    this.#state = 'head';
  }

  /** Bytes that are no header: up to the next delimiter, or as far as none can begin. */
  #content(data: Buffer, from: number, final: boolean): { at: number; wait: boolean } {
    if (this.#delimiters.depth === 0) {
      this.#emit(data.subarray(from));
      return { at: data.length, wait: false };
    }
    let search = from;
    for (;;) {
      const dashes = data.indexOf('--', search, 'latin1');
      if (dashes < 0) break;
      const before = dashes === from ? undefined : data[dashes - 1];
      const lineStart = before === undefined ? this.#atLineStart : before === LF || before === CR;
      if (lineStart && this.#delimiters.mayBegin(data, dashes)) {
        const line = findAnyLineEnd(data, dashes, this.#delimiters.maxLine, final);
        if (line === needMore) return this.#keep(data, from, beforeLineEnd(data, from, dashes));
        const match = line && this.#delimiter(data.subarray(dashes, line.end));
        if (line !== undefined && match !== undefined) {
          this.#emit(data.subarray(from, beforeLineEnd(data, from, dashes)));
          this.#meet(match);
          return { at: line.next, wait: false };
        }
      }
      search = dashes + 1;
      // Rulers of dashes are common; their other dashes begin no line.
      while (data[search] === 0x2d) search++;
    }
    if (final) {
      this.#emit(data.subarray(from));
      return { at: data.length, wait: false };
    }
    // The end of this chunk may be the line end of a delimiter, with its first dash.
    let end = data.length;
    if (end > from && data[end - 1] === 0x2d) end--;
    return this.#keep(data, from, beforeLineEnd(data, from, end));
  }

  #keep(data: Buffer, from: number, end: number): { at: number; wait: boolean } {
    if (end > from) {
      this.#emit(data.subarray(from, end));
      const last = data[end - 1];
      this.#atLineStart = last === LF || last === CR;
    }
    return { at: end, wait: true };
  }

  #emit(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#state === 'body' || this.#state === 'rest') {
      this.#events.push({ kind: 'body', bytes });
    } else if (this.#state === 'preamble') {
      this.#preamble.push(Buffer.from(bytes));
      this.#preambleSize += bytes.length;
      if (this.#preambleSize > this.#limits.preamble) this.#preambleAsPart();
    } else if (!isBlank(bytes)) {
      this.#defects.add('text-after-end');
    }
  }
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== LF && byte !== CR) return false;
  return true;
}
