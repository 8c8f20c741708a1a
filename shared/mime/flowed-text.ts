/** A line longer than this is handed on in pieces: what is so long was not folded by format=flowed. */
const LONG_LINE = 16 * 1024;

/**
 * Undoes format=flowed (RFC 3676 section 4), chunk by chunk: lines that end in a blank flow into the next one, blanks
 * that were stuffed in front of a line go, quotes keep their marks. With `delsp` the blank itself goes as well. Takes
 * text with LF or CRLF line ends, gives text with LF.
 */
export class FlowedText {
  readonly #delsp: boolean;
  #carry = '';
  /** Depth of quotes of the paragraph that is under way; undefined where none is. */
  #depth: number | undefined;
  #insideLine = false;

  constructor(delsp: boolean) {
    this.#delsp = delsp;
  }

  write(text: string): string {
    const lines = (this.#carry + text).split('\n');
    this.#carry = lines.pop() ?? '';
    let result = '';
    for (const line of lines) result += this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (this.#carry.length > LONG_LINE) {
      result += this.#insideLine ? this.#carry : this.#opening(this.#carry).text;
      this.#carry = '';
      this.#insideLine = true;
    }
    return result;
  }

  end(): string {
    const rest = this.#carry;
    this.#carry = '';
    if (rest === '') return this.#depth === undefined ? '' : '\n';
    return this.#insideLine ? rest : this.#opening(rest).text;
  }

  #line(line: string): string {
    if (this.#insideLine) {
      this.#insideLine = false;
      this.#depth = undefined;
      return `${line}\n`;
    }
    const { text, depth, isSignature } = this.#opening(line);
    if (!line.endsWith(' ') || isSignature) {
      this.#depth = undefined;
      return `${text}\n`;
    }
    this.#depth = depth;
    return this.#delsp ? text.slice(0, -1) : text;
  }

  /** What a line brings without its end: it goes on with the paragraph before, or ends that and begins one. */
  #opening(line: string): { readonly text: string; readonly depth: number; readonly isSignature: boolean } {
    let depth = 0;
    while (line[depth] === '>') depth++;
    const content = line[depth] === ' ' ? line.slice(depth + 1) : line.slice(depth);
    const isSignature = content === '-- ';
    const goesOn = this.#depth === depth && !isSignature;
    const before = goesOn || this.#depth === undefined ? '' : '\n';
    this.#depth = undefined;
    const marks = goesOn || depth === 0 ? '' : `${'>'.repeat(depth)} `;
    return { text: `${before}${marks}${content}`, depth, isSignature };
  }
}
