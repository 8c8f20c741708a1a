import type { Duplex } from 'node:stream';
import { bad } from './values.ts';

/** A command line without its literals. */
const maxLineBytes = 64 * 1024;
/** One mail in APPEND: as much as the SMTP sink takes. */
const maxLiteralBytes = 256 * 1024 * 1024;
const maxLiterals = 100;

/** Reads lines and literals from a connection. */
export class LineReader {
  readonly #stream: Duplex;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Bytes that were read but not asked for. */
  get pending(): number {
    return this.#buffered.length + this.#stream.readableLength;
  }

  /** A line without its end; undefined when the connection is over. */
  async line(): Promise<string | undefined> {
    let searched = 0;
    for (;;) {
      const end = this.#buffered.indexOf('\n', searched);
      if (end >= 0) {
        const line = this.#buffered.toString('latin1', 0, end);
        this.#buffered = this.#buffered.subarray(end + 1);
        return line.endsWith('\r') ? line.slice(0, -1) : line;
      }
      searched = this.#buffered.length;
      if (searched > maxLineBytes) throw bad('The line is too long');
      const more = await this.#read();
      if (!more) return undefined;
      this.#buffered = Buffer.concat([this.#buffered, more]);
    }
  }

  /**
   * A command: its text, with literals between its pieces (RFC 3501 section 4.3, RFC 7888). `goAhead` is called before
   * a literal that the client holds back.
   */
  async command(goAhead: () => void): Promise<readonly (string | Buffer)[] | undefined> {
    const parts: (string | Buffer)[] = [];
    for (;;) {
      const line = await this.line();
      if (line === undefined) return undefined;
      const literal = /^(.*)\{(\d{1,10})(\+?)\}$/s.exec(line);
      if (!literal) return [...parts, line];
      const size = Number(literal[2]);
      if (size > maxLiteralBytes || parts.length > 2 * maxLiterals) throw bad('The literal is too large');
      if (literal[3] === '') goAhead();
      const bytes = await this.#bytes(size);
      if (!bytes) return undefined;
      parts.push(literal[1] ?? '', bytes);
    }
  }

  async #bytes(size: number): Promise<Buffer | undefined> {
    const chunks = [this.#buffered];
    let have = this.#buffered.length;
    while (have < size) {
      const more = await this.#read();
      if (!more) return undefined;
      chunks.push(more);
      have += more.length;
    }
    const all = Buffer.concat(chunks);
    this.#buffered = all.subarray(size);
    return all.subarray(0, size);
  }

  #read(): Promise<Buffer | undefined> {
    const stream = this.#stream;
    return new Promise((resolve) => {
      const attempt = () => {
        const chunk: unknown = stream.read();
        if (Buffer.isBuffer(chunk)) finish(chunk);
        else if (stream.readableEnded || stream.destroyed) finish(undefined);
      };
      const over = () => finish(undefined);
      const finish = (chunk: Buffer | undefined) => {
        stream.off('readable', attempt).off('end', over).off('close', over);
        resolve(chunk);
      };
      stream.on('readable', attempt).on('end', over).on('close', over);
      attempt();
    });
  }
}
