import { bytesOf, Delimiters, type Match, type OpenMultipart, searchBoundary } from './delimiters.ts';
import { HeadReader } from './head-reader.ts';
import type { BodyCharset, HeaderBlock } from './header-block.ts';
import type { MimeLimits } from './limits.ts';
import { beforeLineEnd, CR, findAnyLineEnd, LF, needMore } from './line-ends.ts';
import type { Defects } from './mail.ts';
import { madeUpHeader, type PartHeader, readPartHeader } from './part-header.ts';

/** Where a part stands in the mail. */
export interface PartPlace {
  /** Subtype of the multipart around it; undefined for the mail itself. */
  readonly parent: string | undefined;
  /** Counts from 0 within that multipart. */
  readonly index: number;
  /** Content-ID of the root of the multipart/related around it, where one is given. */
  readonly start: string | undefined;
  /** The multiparts around it, outermost first: a number each, and which of its parts this one is or stands in. */
  readonly around: readonly { readonly id: number; readonly branch: number; readonly subtype: string }[];
}

/** What the splitter finds, in the order of the mail. `body` and `end` belong to the last `part`. */
export type SplitEvent =
  | { readonly kind: 'multipart'; readonly header: PartHeader; readonly depth: number }
  | { readonly kind: 'part'; readonly header: PartHeader; readonly place: PartPlace }
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'end' };

type State = 'head' | 'body' | 'preamble' | 'epilogue' | 'rest';

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
  readonly #bodyCharset: BodyCharset = { name: undefined };
  readonly #limits: MimeLimits;
  readonly #defects: Defects;
  readonly #delimiters = new Delimiters();
  #events: SplitEvent[] = [];
  #carry: Buffer | undefined;
  #state: State = 'head';
  #head: HeadReader;
  /** Whether the byte before the first one not yet consumed ended a line. */
  #atLineStart = true;
  #partOpen = false;
  #parts = 0;
  /** Numbers of the open multiparts, outermost first. */
  readonly #numbers: number[] = [];
  #multiparts = 0;
  #preambleEncoding = '';

  constructor(limits: MimeLimits, defects: Defects) {
    this.#limits = limits;
    this.#defects = defects;
    this.#head = this.#newHead(true);
    this.root = this.#head.block;
  }

  /** Takes the next bytes; answers what was found. Bodies in the answer are views of `chunk`. */
  push(chunk: Buffer): readonly SplitEvent[] {
    return this.#consume(chunk, false);
  }

  /** Ends the mail. */
  end(): readonly SplitEvent[] {
    const events = [...this.#consume(Buffer.alloc(0), true)];
    this.#events = events;
    if (this.#state === 'head') this.#endHeader(this.#head.rest);
    this.#endPart();
    if (this.#delimiters.unclosed && this.#state !== 'rest') this.#defects.add('truncated');
    return events;
  }

  #consume(chunk: Buffer, final: boolean): readonly SplitEvent[] {
    this.#events = [];
    const data = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk]);
    let at = 0;
    while (at < data.length) {
      const next = this.#state === 'head' ? this.#headStep(data, at, final) : this.#content(data, at, final);
      at = next.at;
      if (next.wait) break;
    }
    this.#carry = at < data.length ? Buffer.from(data.subarray(at)) : undefined;
    return this.#events;
  }

  #newHead(isRoot: boolean): HeadReader {
    return new HeadReader(this.#limits, this.#defects, {
      isRoot,
      bodyCharset: this.#bodyCharset,
      isDelimiter: (line, block) => this.#delimiter(line) !== undefined || beginsParts(line, block),
    });
  }

  #headStep(data: Buffer, at: number, final: boolean): { at: number; wait: boolean } {
    const step = this.#head.read(data, at, final);
    if (step.kind === 'end') this.#endHeader(step.body);
    return { at: step.at, wait: step.kind === 'wait' };
  }

  #delimiter(line: Buffer): Match | undefined {
    if (line[0] !== 0x2d || line[1] !== 0x2d || this.#delimiters.depth === 0) return undefined;
    return line.length <= this.#delimiters.maxLine ? this.#delimiters.match(line.toString('latin1')) : undefined;
  }

  /** Ends a header section; `body`: lines in it that are not header lines. */
  #endHeader(body: readonly Buffer[]): void {
    const outer = this.#delimiters.innermost;
    const place = this.#place();
    const defaultType = outer?.subtype === 'digest' ? 'message/rfc822' : 'text/plain';
    const header = readPartHeader(this.#head.block, defaultType, this.#defects);
    this.#bodyCharset.name ??= header.charset;
    this.#atLineStart = true;
    if (!header.contentType.startsWith('multipart/')) {
      this.#beginPart(header, place);
    } else if (this.#delimiters.depth >= this.#limits.depth) {
      this.#defects.add('too-deep');
      this.#beginPart(header, place);
    } else {
      if (header.boundary === undefined) this.#defects.add('missing-boundary');
      this.#delimiters.push(header.boundary, header.contentType.slice('multipart/'.length), header.start);
      this.#numbers.length = this.#delimiters.depth - 1;
      this.#numbers.push(this.#multiparts++);
      this.#preambleEncoding = header.encoding;
      this.#state = 'preamble';
      this.#events.push({ kind: 'multipart', header, depth: this.#delimiters.depth - 1 });
    }
    // Lines in front of what is encoded would be decoded with it, and are no part of it.
    if (!/^(?:base64|x-?uu|uu)/.test(header.encoding)) for (const bytes of body) this.#emit(bytes);
  }

  #place(): PartPlace {
    const outer = this.#delimiters.innermost;
    const around = this.#numbers.slice(0, this.#delimiters.depth).map((id, depth) => {
      const multipart = this.#delimiters.at(depth);
      return { id, branch: multipart?.parts ?? 0, subtype: multipart?.subtype ?? '' };
    });
    return { parent: outer?.subtype, index: Math.max(0, (outer?.parts ?? 0) - 1), start: outer?.start, around };
  }

  #beginPart(header: PartHeader, place: PartPlace): void {
    this.#state = 'body';
    this.#partOpen = true;
    this.#parts++;
    this.#events.push({ kind: 'part', header, place });
  }

  #endPart(): void {
    if (this.#partOpen) this.#events.push({ kind: 'end' });
    this.#partOpen = false;
  }

  /** Text in a multipart without delimiters is its body: it reads as plain text (RFC 2045 section 5.2). */
  #preambleAsPart(): void {
    this.#defects.add('missing-boundary');
    this.#beginPart(madeUpHeader('text/plain', this.#preambleEncoding), this.#place());
  }

  /** Handles a delimiter line. */
  #meet(match: Match): void {
    const multipart = this.#delimiters.at(match.depth);
    if (multipart === undefined) return;
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
      this.#beginPart(madeUpHeader('application/octet-stream', ''), this.#place());
      this.#state = 'rest';
      return;
    }
    this.#head = this.#newHead(false);
    this.#state = 'head';
  }

  /** Bytes that are no header: up to the next delimiter, or as far as none can begin. */
  #content(data: Buffer, from: number, final: boolean): { at: number; wait: boolean } {
    if (this.#delimiters.depth === 0) {
      this.#emit(data.subarray(from));
      return { at: data.length, wait: false };
    }
    const found = this.#findDelimiter(data, from, final);
    if (this.#state === 'preamble') {
      const end = found.match ? beforeLineEnd(data, from, found.at) : final ? data.length : found.at;
      const own = found.match?.depth === this.#delimiters.depth - 1;
      if (!own) {
        const waiting = !found.match && !final && data.length - from <= this.#limits.preamble;
        if (waiting) return { at: from, wait: true };
        if (this.#searchBoundary(data.subarray(from, end))) return { at: from, wait: false };
      }
      const bytes = data.subarray(from, end);
      // A preamble is for readers that know no MIME (RFC 2046 section 5.1.1), unless it is all there is.
      if (own && found.match && !found.match.closing) {
        this.#meet(found.match);
        return { at: found.next, wait: false };
      }
      if (!isBlank(bytes)) this.#preambleAsPart();
    }
    if (found.match) {
      this.#emit(data.subarray(from, beforeLineEnd(data, from, found.at)));
      this.#meet(found.match);
      return { at: found.next, wait: false };
    }
    if (final) {
      this.#emit(data.subarray(from));
      return { at: data.length, wait: false };
    }
    return this.#keep(data, from, found.at);
  }

  /** The next delimiter; without one, how far none can begin. */
  #findDelimiter(data: Buffer, from: number, final: boolean): { at: number; next: number; match?: Match } {
    let search = from;
    for (;;) {
      const dashes = data.indexOf('--', search, 'latin1');
      if (dashes < 0) break;
      const before = dashes === from ? undefined : data[dashes - 1];
      const lineStart = before === undefined ? this.#atLineStart : before === LF || before === CR;
      if (lineStart && this.#delimiters.mayBegin(data, dashes)) {
        const line = findAnyLineEnd(data, dashes, this.#delimiters.maxLine, final);
        if (line === needMore) return { at: beforeLineEnd(data, from, dashes), next: dashes };
        const match = line && this.#delimiter(data.subarray(dashes, line.end));
        if (line !== undefined && match !== undefined) return { at: dashes, next: line.next, match };
      }
      search = dashes + 1;
      // Rulers of dashes are common; their other dashes begin no line.
      while (data[search] === 0x2d) search++;
    }
    // The end of this chunk may be the line end of a delimiter, with its first dash.
    let end = data.length;
    if (end > from && data[end - 1] === 0x2d) end--;
    return { at: beforeLineEnd(data, from, end), next: end };
  }

  /** Looks, once, for the delimiters of a multipart in which the declared one does not occur. */
  #searchBoundary(text: Buffer): boolean {
    const multipart: OpenMultipart | undefined = this.#delimiters.innermost;
    if (multipart === undefined || multipart.searched) return false;
    multipart.searched = true;
    const boundary = searchBoundary(text.toString('latin1'), multipart.boundary);
    if (boundary === undefined) return false;
    this.#defects.add('missing-boundary');
    this.#delimiters.correct(boundary);
    return true;
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
    if (this.#state === 'body' || this.#state === 'rest') this.#events.push({ kind: 'body', bytes });
    else if (this.#state === 'epilogue' && !isBlank(bytes)) this.#defects.add('text-after-end');
  }
}

/** Whether a line is the first delimiter of the multipart whose header is still being read: its empty line is missing. */
function beginsParts(line: Buffer, block: HeaderBlock): boolean {
  if (line[0] !== 0x2d || line[1] !== 0x2d || line.length > 1_000) return false;
  const type = block.first('content-type');
  if (type === undefined || !/^\s*multipart\//i.test(type)) return false;
  const boundary = readPartHeader(block, 'text/plain', new Set()).boundary;
  return boundary !== undefined && line.toString('latin1').trimEnd() === `--${bytesOf(boundary)}`;
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== LF && byte !== CR) return false;
  return true;
}
