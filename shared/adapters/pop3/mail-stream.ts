import { Readable } from 'node:stream';
import { StoreError } from '../store.ts';
import type { Body } from './body.ts';
import type { Pop3Connection } from './connection.ts';

/** Octets held at most while the consumer is slow; behind them the server is held back by TCP. */
const HELD = 256 * 1024;

/** What a stream has to do with its session. */
export interface MailStreamOptions {
  readonly signal: AbortSignal;
  /** Gives the session back. */
  readonly release: () => void;
  /** Called when the answer has been read to its end; where it throws, the mail is at fault. */
  readonly atEnd: () => Promise<void>;
}

/**
 * A large mail on its way. POP3 cannot break off an answer: a stream that is destroyed before its end takes the
 * connection along. Ends with a StoreError where the connection is lost.
 */
export class MailStream extends Readable {
  readonly #connection: Pop3Connection;
  readonly #body: Body;
  readonly #options: MailStreamOptions;

  constructor(connection: Pop3Connection, body: Body, options: MailStreamOptions) {
    super({ highWaterMark: HELD });
    this.#connection = connection;
    this.#body = body;
    this.#options = options;
  }

  async #next(): Promise<Buffer | undefined> {
    const octets = await this.#body.next(this.#options.signal);
    if (octets !== undefined) return octets;
    await this.#options.atEnd();
    // The answer is read: the session can go on while the consumer takes what is held here.
    this.#options.release();
    return undefined;
  }

  override _read(): void {
    this.#next().then(
      (octets) => {
        this.push(octets ?? null);
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error('the mail could not be read')),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#body.ended) {
      this.#connection.fail(new StoreError('connection', 'the session was left with a mail read in part'));
    }
    this.#options.release();
    done(error);
  }
}
