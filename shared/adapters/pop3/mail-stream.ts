import { Readable } from 'node:stream';
import { StoreError } from '../store.ts';
import type { Body } from './body.ts';
import type { Pop3Connection } from './connection.ts';

/** Octets held at most while the consumer is slow; behind them the server is held back by TCP. */
const HELD = 256 * 1024;

/**
 * A large mail on its way. POP3 cannot break off an answer: a stream that is destroyed before its end takes the
 * connection along. Ends with a StoreError where the connection is lost.
 */
export class MailStream extends Readable {
  readonly #connection: Pop3Connection;
  readonly #body: Body;
  readonly #signal: AbortSignal;
  readonly #release: () => void;

  constructor(connection: Pop3Connection, body: Body, signal: AbortSignal, release: () => void) {
    super({ highWaterMark: HELD });
    this.#connection = connection;
    this.#body = body;
    this.#signal = signal;
    this.#release = release;
  }

  override _read(): void {
    this.#body.next(this.#signal).then(
      (octets) => {
        // The answer is read: the session can go on while the consumer takes what is held here.
        if (octets === undefined) this.#release();
        this.push(octets ?? null);
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error('the mail could not be read')),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#body.ended) {
      this.#connection.fail(new StoreError('connection', 'the session was left with a mail read in part'));
    }
    this.#release();
    done(error);
  }
}
