import { isUuEnd, uuBegin, uuLine } from './uuencode-lines.ts';
import { isYencEnd, YencDecoder, yencBegin } from './yenc.ts';

/** A line longer than this is text: no line of either encoding is so long. */
const MAX_LINE = 4 * 1024;

/** Bytes of a file in text that are held until its end shows that it is one; a longer one needs no more proof. */
const MAX_HELD = 64 * 1024;

/** Bytes that make a file of what has no end: two full lines are no text by chance. */
const ENOUGH = 90;

/** What a text consists of, in order: text, and files in it. */
export type TextPiece =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly filename: string }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'fileEnd'; readonly intact: boolean; readonly encoding: 'uuencode' | 'yenc' };

interface OpenFile {
  readonly filename: string;
  readonly yenc: YencDecoder | undefined;
  /** Its lines as they came, while it may still turn out to be text. */
  raw: Buffer[] | undefined;
  rawSize: number;
  decoded: Buffer[];
}

/**
 * Splits files off a plain text that were put there before MIME, or by those who do without: uuencode (`begin 644
 * name` … `end`) and yEnc (`=ybegin` … `=yend`). What only looks like a beginning stays text. Bytes in chunks of any
 * size; memory is bounded.
 */
export class EmbeddedFiles {
  readonly #room: () => number;
  #carry: Buffer = Buffer.alloc(0);
  #insideLongLine = false;
  #file: OpenFile | undefined;
  #pieces: TextPiece[] = [];

  /** `room`: how many more attachments the mail may have, once all pieces that were answered are taken. */
  constructor(room: () => number) {
    this.#room = room;
  }

  write(bytes: Buffer): readonly TextPiece[] {
    this.#pieces = [];
    const data = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    let from = 0;
    // Text goes on in as large pieces as it came.
    let text = 0;
    for (let end = data.indexOf(0x0a, from); end >= 0; end = data.indexOf(0x0a, from)) {
      const line = data.subarray(from, end + 1);
      const before = data.subarray(text, from);
      if (this.#insideLongLine) this.#insideLongLine = false;
      else if (this.#line(line, before)) text = end + 1;
      from = end + 1;
    }
    this.#text(data.subarray(text, from));
    this.#carry = data.subarray(from);
    if (this.#insideLongLine || this.#carry.length > MAX_LINE) {
      if (!this.#insideLongLine && this.#file) this.#giveUp();
      this.#insideLongLine = true;
      this.#text(this.#carry);
      this.#carry = Buffer.alloc(0);
    } else {
      this.#carry = Buffer.from(this.#carry);
    }
    return this.#pieces;
  }

  end(): readonly TextPiece[] {
    this.#pieces = [];
    const rest = this.#carry;
    this.#carry = Buffer.alloc(0);
    if (rest.length > 0 && (this.#insideLongLine || !this.#line(rest, Buffer.alloc(0)))) this.#text(rest);
    if (this.#file) this.#giveUp();
    return this.#pieces;
  }

  /** False where the line is text. `before`: the text in front of it, which has to go first. */
  #line(line: Buffer, before: Buffer): boolean {
    const content = withoutEnd(line);
    if (this.#file === undefined) return this.#begin(content, line, before);
    const { yenc } = this.#file;
    if (yenc ? isYencEnd(content) : isUuEnd(content)) {
      return this.#endFile(yenc ? yenc.ended(content) : true);
    }
    const decoded = yenc ? yenc.line(content) : content.length === 0 ? Buffer.alloc(0) : uuLine(content);
    if (decoded === undefined) {
      this.#giveUp();
      return this.#line(line, before);
    }
    this.#add(this.#file, line, decoded);
    return true;
  }

  #begin(content: Buffer, line: Buffer, before: Buffer): boolean {
    const yenc = yencBegin(content);
    const begin = yenc ?? uuBegin(content);
    if (begin === undefined) return false;
    if (this.#room() <= this.#pieces.filter(({ kind }) => kind === 'file').length) return false;
    this.#text(before);
    this.#file = {
      filename: begin.filename,
      yenc: yenc && new YencDecoder(yenc.size),
      raw: [Buffer.from(line)],
      rawSize: line.length,
      decoded: [],
    };
    return true;
  }

  #add(file: OpenFile, line: Buffer, decoded: Buffer): void {
    if (file.raw === undefined) {
      if (decoded.length > 0) this.#pieces.push({ kind: 'data', bytes: decoded });
      return;
    }
    file.raw.push(Buffer.from(line));
    file.rawSize += line.length;
    file.decoded.push(decoded);
    if (file.rawSize > MAX_HELD) this.#release(file);
  }

  /** It is a file. */
  #release(file: OpenFile): void {
    this.#pieces.push({ kind: 'file', filename: file.filename });
    const bytes = Buffer.concat(file.decoded);
    if (bytes.length > 0) this.#pieces.push({ kind: 'data', bytes });
    file.raw = undefined;
    file.decoded = [];
  }

  /** False where there was nothing in it: then it is text. */
  #endFile(intact: boolean): boolean {
    const file = this.#file;
    if (file === undefined) return false;
    if (file.raw !== undefined && file.decoded.every((bytes) => bytes.length === 0)) {
      this.#giveUp();
      return false;
    }
    this.#file = undefined;
    if (file.raw !== undefined) this.#release(file);
    this.#pieces.push({ kind: 'fileEnd', intact, encoding: encodingOf(file) });
    return true;
  }

  /** It is no file, or one that is cut. */
  #giveUp(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    if (file.raw !== undefined) {
      if (file.decoded.reduce((sum, bytes) => sum + bytes.length, 0) < ENOUGH) {
        this.#text(Buffer.concat(file.raw));
        return;
      }
      this.#release(file);
    }
    this.#pieces.push({ kind: 'fileEnd', intact: false, encoding: encodingOf(file) });
  }

  #text(bytes: Buffer): void {
    if (bytes.length > 0) this.#pieces.push({ kind: 'text', bytes });
  }
}

function encodingOf(file: OpenFile): 'uuencode' | 'yenc' {
  return file.yenc ? 'yenc' : 'uuencode';
}

function withoutEnd(line: Buffer): Buffer {
  let end = line.length;
  if (end > 0 && line[end - 1] === 0x0a) end--;
  while (end > 0 && line[end - 1] === 0x0d) end--;
  return line.subarray(0, end);
}
