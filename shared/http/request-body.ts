import { raceWith } from '../platform/race-with.ts';
import { HttpProblem } from './problem.ts';

/** The body of a web `Request`, as an Azure Functions `HttpRequest` has it. */
interface ByteStream {
  getReader(): { read(): Promise<{ done: boolean; value?: unknown }>; cancel(reason?: unknown): Promise<void> };
}

/** How long a body may take. */
export interface RequestBodyOptions {
  /** The time the whole request may take. */
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which the answer is 408. */
  readonly stallMs?: number;
}

const defaultStallMs = 30_000;

/** Bytes that are handed on at once: a body of single bytes costs its readers no more than any other. */
const pieceBytes = 64 * 1024;

/** More than the host lets in (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT). */
const maxRestBytes = 192 * 1024 * 1024;

/** How long a caller who gets its answer before the end of its body may go on sending, in milliseconds. */
const afterAnswerMs = 5_000;

/**
 * The body of one request, in pieces. Ending a loop early leaves the rest where it is; `finish` reads it. Reading throws
 * HttpProblem 408 where the caller stands still, and 400 where it went away.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #reader: ReturnType<ByteStream['getReader']> | undefined;
  readonly #signal: AbortSignal;
  readonly #stallMs: number;
  /** A read that somebody stopped waiting for; the next read gets what it brings. */
  #reading: Promise<Uint8Array | undefined> | undefined;
  #ended: boolean;
  /** Nothing came for too long: nothing more is waited for. */
  #stalled = false;

  constructor(stream: ByteStream | null, options: RequestBodyOptions) {
    this.#reader = stream?.getReader();
    this.#signal = options.signal;
    this.#stallMs = options.stallMs ?? defaultStallMs;
    this.#ended = stream === null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    let piece: Uint8Array[] = [];
    let size = 0;
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) {
      piece.push(chunk);
      size += chunk.length;
      if (size < pieceBytes) continue;
      yield piece.length === 1 ? chunk : Buffer.concat(piece, size);
      piece = [];
      size = 0;
    }
    if (size > 0) yield Buffer.concat(piece, size);
  }

  /**
   * Reads and drops what nobody wanted, before the answer goes out: the host sends the body over a connection that it
   * uses again, where bytes left unread stand in the way of another caller's request. A body that does not end in time
   * or size is cut off, with its connection, after the answer has had time to leave.
   */
  async finish(): Promise<void> {
    let size = 0;
    try {
      while (!this.#ended && !this.#stalled && size <= maxRestBytes) size += (await this.#next())?.length ?? 0;
    } catch {
      // It stands still or is gone. The answer is on its way all the same.
    }
    if (!this.#ended) void this.#readAfterAnswer();
  }

  async #readAfterAnswer(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), afterAnswerMs);
    });
    const orOver = raceWith(over);
    try {
      while (!this.#ended) {
        if ((await orOver(this.#read())) === undefined) break;
        this.#reading = undefined;
      }
      if (!this.#ended) await this.#reader?.cancel();
    } catch {
      // The connection is gone, which is what was wanted.
    } finally {
      clearTimeout(timer);
    }
  }

  #read(): Promise<Uint8Array | undefined> {
    this.#reading ??= this.#readStream();
    // The next read, if there is one, gets this error.
    this.#reading.catch(() => undefined);
    return this.#reading;
  }

  async #readStream(): Promise<Uint8Array | undefined> {
    const { done, value } = (await this.#reader?.read()) ?? { done: true };
    if (done) {
      this.#ended = true;
      return undefined;
    }
    if (!(value instanceof Uint8Array)) throw new TypeError('A request body delivers bytes.');
    return value;
  }

  /** The next bytes; undefined at the end. */
  async #next(): Promise<Uint8Array | undefined> {
    if (this.#ended) return undefined;
    let stop: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      const refuse = (detail: string) => reject(new HttpProblem(408, detail));
      const timer = setTimeout(
        () => refuse(`No byte of the body came for ${Math.round(this.#stallMs / 1000)} seconds.`),
        this.#stallMs,
      );
      const onAbort = () => refuse('The body did not come in time.');
      if (this.#signal.aborted) onAbort();
      this.#signal.addEventListener('abort', onAbort, { once: true });
      stop = () => {
        clearTimeout(timer);
        this.#signal.removeEventListener('abort', onAbort);
      };
    });
    try {
      const chunk = await Promise.race([this.#read(), late]);
      this.#reading = undefined;
      return chunk;
    } catch (error) {
      if (error instanceof HttpProblem) {
        this.#stalled = true;
        throw error;
      }
      // The stream has no other errors than those of its connection.
      this.#ended = true;
      throw new HttpProblem(400, 'The body ended before its end.', { cause: error });
    } finally {
      stop();
    }
  }
}
