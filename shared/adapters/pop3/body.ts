import type { LineSocket } from './line-socket.ts';

const CR = 13;
const LF = 10;
const DOT = 46;
const NOTHING = Buffer.alloc(0);
const LINE_END = Buffer.from('\r\n');
const LINE_END_AND_DOT = Buffer.from('\r\n.');

/**
 * The octets of a multi-line answer, without the dots that were put before lines beginning with one, up to the line that
 * is a dot alone (RFC 1939 section 3). Only CRLF ends a line: a bare LF before a dot is content, or else a mail could end
 * its own answer and have the rest of it taken for the answers to the next commands.
 *
 * RETR ends every mail with CRLF, also one that is stored without. Where the server counted two octets fewer than came,
 * that CRLF is not the mail's, and is left out.
 */
export class Body {
  readonly #socket: LineSocket;
  readonly #doing: string;
  readonly #expected: number | undefined;
  #carry: Buffer = NOTHING;
  /** A line begins; the line end before it is held back until it is known whether it is the mail's last. */
  #atLineStart = true;
  #heldLineEnd = false;
  #received = 0;
  #stuffed = 0;
  #ended = false;

  /** `expected`: octets as LIST counts them. */
  constructor(socket: LineSocket, doing: string, expected?: number) {
    this.#socket = socket;
    this.#doing = doing;
    this.#expected = expected;
  }

  /** The end has been read: what comes next is the next answer. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Octets given so far. */
  get received(): number {
    return this.#received;
  }

  /** Fewer octets came than the server counts, also if it counts the dots that were put before lines. Asked at the end. */
  get short(): boolean {
    return this.#expected !== undefined && this.#received + this.#stuffed < this.#expected;
  }

  /** Some octets, never none; undefined at the end. Throws StoreError when the connection is lost. */
  async next(signal: AbortSignal): Promise<Buffer | undefined> {
    while (!this.#ended) {
      const octets = await this.#socket.octets(this.#doing, signal);
      const pieces: Buffer[] = [];
      this.#take(this.#carry.length === 0 ? octets : Buffer.concat([this.#carry, octets]), pieces);
      const [first] = pieces;
      if (first === undefined) continue;
      const given = pieces.length === 1 ? first : Buffer.concat(pieces);
      this.#received += given.length;
      return given;
    }
    return undefined;
  }

  #take(data: Buffer, pieces: Buffer[]): void {
    this.#carry = NOTHING;
    let at = 0;
    while (at < data.length) {
      if (this.#atLineStart) {
        const kind = lineStart(data, at);
        if (kind === 'unknown') break;
        if (kind === 'end') {
          this.#end(data.subarray(at + 3), pieces);
          return;
        }
        if (this.#heldLineEnd) pieces.push(LINE_END);
        this.#heldLineEnd = false;
        if (kind === 'stuffed') {
          at += 1;
          this.#stuffed += 1;
        }
        this.#atLineStart = false;
      }
      const found = data.indexOf(LINE_END_AND_DOT, at);
      const until = found >= 0 ? found : data.length - openEnd(data, at);
      if (until > at) pieces.push(data.subarray(at, until));
      at = until;
      if (found < 0) break;
      at += LINE_END.length;
      this.#atLineStart = true;
      this.#heldLineEnd = true;
    }
    // A copy: the chunk it is of can go.
    if (at < data.length) this.#carry = Buffer.from(data.subarray(at));
  }

  #end(rest: Buffer, pieces: Buffer[]): void {
    this.#ended = true;
    if (rest.length > 0) this.#socket.unread(rest);
    const given = pieces.reduce((sum, piece) => sum + piece.length, this.#received);
    if (this.#heldLineEnd && given !== this.#expected) pieces.push(LINE_END);
  }
}

function lineStart(data: Buffer, at: number): 'plain' | 'stuffed' | 'end' | 'unknown' {
  if (data[at] !== DOT) return 'plain';
  if (at + 1 >= data.length) return 'unknown';
  if (data[at + 1] !== CR) return 'stuffed';
  if (at + 2 >= data.length) return 'unknown';
  return data[at + 2] === LF ? 'end' : 'stuffed';
}

/** Octets at the end that may be the beginning of CRLF and a dot. */
function openEnd(data: Buffer, from: number): number {
  const last = data.length - 1;
  if (last >= from && data[last] === CR) return 1;
  return last - 1 >= from && data[last] === LF && data[last - 1] === CR ? 2 : 0;
}
