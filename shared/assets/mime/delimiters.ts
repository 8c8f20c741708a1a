/** A multipart that is open: its delimiters may still come. */
export interface OpenMultipart {
  /** The boundary, one byte a character. */
  readonly boundary: string;
  readonly bytes: Buffer;
  readonly subtype: string;
  /** Delimiters seen. */
  parts: number;
  /** Its closing delimiter was seen: what follows is an epilogue. */
  closed: boolean;
}

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
    return this.#open.some((multipart) => !multipart.closed);
  }

  push(boundary: string, subtype: string): void {
    const bytes = Buffer.from(boundary, 'utf8');
    this.#open.push({ boundary: bytes.toString('latin1'), bytes, subtype, parts: 0, closed: false });
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
    return this.#open.some(({ bytes }) => {
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
      if (multipart === undefined || !text.startsWith(multipart.boundary, 2)) continue;
      const rest = text.slice(multipart.boundary.length + 2);
      if (rest !== '' && rest !== '--') continue;
      const found = { depth, closing: rest === '--' };
      if (!multipart.closed) return found;
      closedDepth ??= found;
    }
    return closedDepth;
  }

  #refresh(): void {
    this.#lines.clear();
    this.#longest = 0;
    for (const { boundary } of this.#open) {
      this.#lines.add(`--${boundary}`);
      this.#lines.add(`--${boundary}--`);
      this.#longest = Math.max(this.#longest, boundary.length);
    }
  }
}
