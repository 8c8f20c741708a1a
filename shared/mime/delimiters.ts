/** A multipart that is open: its delimiters may still come. */
export interface OpenMultipart {
  /** The boundary, one byte a character. Empty where none was declared: then nothing delimits it. */
  boundary: string;
  readonly subtype: string;
  /** Content-ID of the root of a multipart/related (RFC 2387 section 3.2), where it is given. */
  readonly start: string | undefined;
  /** Delimiters seen. */
  parts: number;
  /** Its closing delimiter was seen: what follows is an epilogue. */
  closed: boolean;
  /** Its text was searched for the delimiters it really has. */
  searched: boolean;
}

/** A multipart that a line delimits, and how. */
export interface Match {
  readonly depth: number;
  readonly closing: boolean;
}

/** Blanks that may follow a boundary on its line (RFC 2046 section 5.1.1): as many as a line can hold. */
const MAX_TRAILING_BLANKS = 998;

/** The open multiparts, outermost first, and which of them a line delimits. */
export class Delimiters {
  readonly #open: OpenMultipart[] = [];
  /** The lines without blanks that delimit something: most lines that begin with two dashes are none of them. */
  readonly #lines = new Set<string>();
  #beginnings: Buffer[] = [];
  #longest = 0;

  get depth(): number {
    return this.#open.length;
  }

  /** Longest line, without its end, that may be a delimiter. */
  get maxLine(): number {
    return this.#longest + 4 + MAX_TRAILING_BLANKS;
  }

  get innermost(): OpenMultipart | undefined {
    return this.#open.at(-1);
  }

  get unclosed(): boolean {
    return this.#open.some(({ closed, boundary }) => !closed && boundary !== '');
  }

  /** Opens a multipart; `boundary` as the header has it, or undefined where it has none. */
  push(boundary: string | undefined, subtype: string, start?: string): void {
    this.#open.push({
      boundary: bytesOf(boundary ?? ''),
      subtype,
      start,
      parts: 0,
      closed: false,
      searched: false,
    });
    this.#refresh();
  }

  /** Gives the innermost multipart the boundary, one byte a character, that its text shows. */
  correct(boundary: string): void {
    const multipart = this.#open.at(-1);
    if (multipart) multipart.boundary = boundary;
    this.#refresh();
  }

  /** Leaves the multiparts deeper than `depth`. */
  truncate(depth: number): void {
    if (depth >= this.#open.length) return;
    this.#open.length = depth;
    this.#refresh();
  }

  at(depth: number): OpenMultipart | undefined {
    return this.#open[depth];
  }

  /** Whether a line that begins with the two dashes at `at` may be a delimiter, as far as its bytes are there yet. */
  mayBegin(data: Buffer, at: number): boolean {
    const from = at + 2;
    return this.#beginnings.some((bytes) => {
      const length = Math.min(bytes.length, data.length - from);
      for (let index = 0; index < length; index++) if (data[from + index] !== bytes[index]) return false;
      return true;
    });
  }

  /**
   * The multipart that a line delimits: the innermost with that boundary, before one that is closed already. A closed
   * one still matches, so that parts after a premature end are not lost.
   */
  match(line: string): Match | undefined {
    const text = line.trimEnd();
    if (!this.#lines.has(text)) return undefined;
    let closedDepth: Match | undefined;
    for (let depth = this.#open.length - 1; depth >= 0; depth--) {
      const multipart = this.#open[depth];
      if (multipart === undefined || multipart.boundary === '') continue;
      if (text !== `--${multipart.boundary}` && text !== `--${multipart.boundary}--`) continue;
      const found = { depth, closing: text.length > multipart.boundary.length + 2 };
      if (!multipart.closed) return found;
      closedDepth ??= found;
    }
    return closedDepth;
  }

  #refresh(): void {
    this.#lines.clear();
    this.#beginnings = [];
    this.#longest = 0;
    for (const { boundary } of this.#open) {
      if (boundary === '') continue;
      this.#lines.add(`--${boundary}`);
      this.#lines.add(`--${boundary}--`);
      this.#beginnings.push(Buffer.from(boundary, 'latin1'));
      this.#longest = Math.max(this.#longest, boundary.length);
    }
  }
}

/** A boundary as its delimiters have it: one byte a character. */
export function bytesOf(boundary: string): string {
  return Buffer.from(boundary, 'utf8').toString('latin1');
}

/** A line that may be a delimiter: dashes and characters of a boundary (RFC 2046 section 5.1.1), no blank inside. */
const delimiterLine = /^--([\w'()+,./:=?#!$%&*-]{1,100})[ \t]*$/;

/**
 * The boundary that a multipart has where the declared one is missing or does not occur: that of a line behind which
 * the header of a part stands, or that comes twice. `declared`, where it was folded in its middle, has blanks too
 * many. Undefined where nothing looks like one. `text`: one byte a character.
 */
export function searchBoundary(text: string, declared: string): string | undefined {
  const squeezed = declared.replace(/\s+/g, '');
  const seen = new Set<string>();
  const lines = text.split(/\r\n|\r|\n/);
  for (const [index, line] of lines.entries()) {
    const token = line.length > 1_000 ? undefined : delimiterLine.exec(line)?.[1];
    if (token === undefined) continue;
    const bare = token.replace(/--$/, '');
    if (bare !== '' && (bare === squeezed || seen.has(bare))) return bare;
    // A ruler of dashes is no boundary, and a line that closes something opens nothing.
    if (token !== bare || !/[a-z0-9]/i.test(bare)) continue;
    const next = lines[index + 1] ?? '';
    if (/^content-[a-z-]{1,30}[ \t]*:/i.test(next)) return bare;
    if (next === '') seen.add(bare);
  }
  return undefined;
}
