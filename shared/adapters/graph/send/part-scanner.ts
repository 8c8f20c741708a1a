import { Delimiters } from '../../../mime/delimiters.ts';
import { HeaderBlock } from '../../../mime/header-block.ts';
import { defaultMimeLimits } from '../../../mime/limits.ts';
import type { Defects } from '../../../mime/mail.ts';
import { type PartHeader, readPartHeader } from '../../../mime/part-header.ts';
import { roleOf } from '../../../mime/part-role.ts';

/** A part that is no multipart. */
export interface Leaf {
  /** In the order of the mail, from 0. */
  readonly index: number;
  readonly header: PartHeader;
  /** Numbers of the multiparts around it, outermost first, and the boundary of the innermost. */
  readonly around: readonly number[];
  readonly boundary: string;
  /** It can be left out of the text and be added to the draft as an attachment, which is what it is. */
  readonly detachable: boolean;
  readonly inline: boolean;
}

/**
 * Bytes of a mail, in order: `frame` belongs to no part (headers of multiparts, preambles, closing delimiters), `head`
 * is a part's delimiter line and header, `body` its content with the line end before the next delimiter.
 */
export type Piece =
  | { readonly kind: 'frame'; readonly bytes: Buffer }
  | { readonly kind: 'head'; readonly leaf: Leaf; readonly bytes: Buffer }
  | { readonly kind: 'body'; readonly leaf: Leaf; readonly bytes: Buffer };

/** A line longer than this is handed on in pieces; no delimiter is as long. */
const longLine = 16 << 10;

/** A header section of a part that is longer counts as content of one that cannot be detached. */
const maxHead = 256 << 10;

/** Two dashes (RFC 2046 section 5.1.1). */
const beginsDelimiter = (bytes: Buffer, at: number) => bytes[at] === 0x2d && bytes[at + 1] === 0x2d;

/** Multiparts whose parts stand for themselves, and those in which such a multipart may stand. */
const loose: ReadonlySet<string> = new Set(['mixed', 'related']);
const passable: ReadonlySet<string> = new Set(['mixed', 'related', 'alternative']);

interface Multipart {
  readonly number: number;
  readonly passable: boolean;
}

/**
 * Divides a mail with CRLF line ends into its parts without losing a byte: the pieces, put together, are the mail
 * (RFC 2046 section 5.1). The reader of incoming mail decodes as it goes and keeps no raw text.
 */
export class PartScanner {
  readonly #defects: Defects = new Set();
  readonly #delimiters = new Delimiters();
  readonly #open: Multipart[] = [];
  #pieces: Piece[] = [];
  #carry: Buffer = Buffer.alloc(0);
  #inLongLine = false;
  #head: Buffer[] | undefined = [];
  #headSize = 0;
  #block = new HeaderBlock(defaultMimeLimits, this.#defects);
  #leaf: Leaf | undefined;
  #leaves = 0;
  #hasBody = false;
  #multiparts = 0;

  push(chunk: Buffer): readonly Piece[] {
    this.#pieces = [];
    const data = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let from = 0;
    // Content goes on in as large pieces as it came.
    let run = 0;
    for (let end = data.indexOf(0x0a, from); end >= 0; end = data.indexOf(0x0a, from)) {
      const next = end + 1;
      // Of the million lines of a large content none gets a buffer of its own.
      const isContent = !this.#head && !beginsDelimiter(data, from);
      if (isContent) this.#inLongLine = false;
      else if (this.#line(data.subarray(from, next), () => this.#content(data.subarray(run, from)))) run = next;
      from = next;
    }
    this.#content(data.subarray(run, from));
    this.#carry = data.subarray(from);
    if (this.#carry.length > longLine) {
      this.#partOfLine(this.#carry);
      this.#carry = Buffer.alloc(0);
    }
    return this.#pieces;
  }

  end(): readonly Piece[] {
    this.#pieces = [];
    const rest = this.#carry;
    if (rest.length > 0 && !this.#line(rest, () => undefined)) this.#content(rest);
    if (this.#head) this.#endHead();
    return this.#pieces;
  }

  /** Takes a whole line; true where it is no content, which then must be handed on first. */
  #line(line: Buffer, contentBefore: () => void): boolean {
    const continues = this.#inLongLine;
    this.#inLongLine = false;
    const match = continues ? undefined : this.#match(line);
    if (match) {
      contentBefore();
      if (this.#head) this.#endHead();
      this.#meet(line, match);
      return true;
    }
    if (!this.#head) return false;
    contentBefore();
    this.#headLine(line, continues);
    return true;
  }

  #partOfLine(bytes: Buffer): void {
    if (this.#head) this.#headLine(bytes, this.#inLongLine);
    else this.#content(bytes);
    this.#inLongLine = true;
  }

  #match(line: Buffer) {
    if (!beginsDelimiter(line, 0) || line.length > this.#delimiters.maxLine + 2) return undefined;
    return this.#delimiters.depth === 0
      ? undefined
      : this.#delimiters.match(line.toString('latin1').replace(/\r?\n$/, ''));
  }

  #meet(line: Buffer, { depth, closing }: { readonly depth: number; readonly closing: boolean }): void {
    this.#delimiters.truncate(depth + 1);
    this.#open.length = depth + 1;
    this.#leaf = undefined;
    const multipart = this.#delimiters.at(depth);
    if (closing || !multipart) {
      if (multipart) multipart.closed = true;
      this.#pieces.push({ kind: 'frame', bytes: line });
      return;
    }
    multipart.parts += 1;
    this.#head = [line];
    this.#headSize = line.length;
    this.#block = new HeaderBlock(defaultMimeLimits, this.#defects);
  }

  #headLine(line: Buffer, continues: boolean): void {
    this.#head?.push(line);
    this.#headSize += line.length;
    const text = line.subarray(0, lengthWithoutEnd(line));
    if (text.length === 0 && !continues) this.#endHead();
    else if (continues) this.#block.more(text);
    else if (this.#block.line(text) === 'notHeader') this.#endHead();
  }

  #endHead(): void {
    const bytes = Buffer.concat(this.#head ?? []);
    this.#head = undefined;
    const outer = this.#delimiters.innermost;
    const header = readPartHeader(
      this.#block,
      outer?.subtype === 'digest' ? 'message/rfc822' : 'text/plain',
      this.#defects,
    );
    const [type, subtype = ''] = header.contentType.split('/');
    if (type === 'multipart' && header.boundary !== undefined && this.#open.length < defaultMimeLimits.depth) {
      const around = this.#open.at(-1)?.passable ?? true;
      this.#delimiters.push(header.boundary, subtype);
      this.#open.push({ number: this.#multiparts++, passable: around && passable.has(subtype) });
      this.#leaf = undefined;
      this.#pieces.push({ kind: 'frame', bytes });
      return;
    }
    this.#leaf = this.#leafOf(header);
    this.#pieces.push({ kind: 'head', leaf: this.#leaf, bytes });
  }

  #leafOf(header: PartHeader): Leaf {
    const outer = this.#delimiters.innermost;
    const place = { parent: outer?.subtype, index: Math.max(0, (outer?.parts ?? 0) - 1), start: outer?.start };
    const role = roleOf(header, place, this.#hasBody);
    if (role.body !== undefined) this.#hasBody = true;
    const multipart = this.#open.at(-1);
    const isRoot = place.parent === 'related' && place.index === 0;
    return {
      index: this.#leaves++,
      header,
      around: this.#open.map(({ number }) => number),
      boundary: outer?.boundary ?? '',
      detachable:
        multipart?.passable === true &&
        loose.has(place.parent ?? '') &&
        !isRoot &&
        role.body === undefined &&
        this.#headSize <= maxHead,
      inline: role.body === undefined && role.inline,
    };
  }

  #content(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pieces.push(this.#leaf ? { kind: 'body', leaf: this.#leaf, bytes } : { kind: 'frame', bytes });
  }
}

function lengthWithoutEnd(line: Buffer): number {
  if (line.at(-1) !== 0x0a) return line.length;
  return line.at(-2) === 0x0d ? line.length - 2 : line.length - 1;
}
