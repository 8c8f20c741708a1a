import { Readable } from 'node:stream';
import { mailText, type TextFailure, TextUnusable } from './mail-text.ts';
import type { FrozenMail } from './transport.ts';

/**
 * Bytes that stay behind until the commit is through. Small, so that what may be lost by a crash between commit and
 * last byte leaves in one segment; what ends a mail (SMTP: the dot; IMAP: the last byte of the literal) is among them or behind them.
 */
const KEPT_BACK_BYTES = 512;
/** Read ahead of the socket, and the largest piece handed on: more would commit earlier than needed. */
const READ_AHEAD_BYTES = 16_384;

/**
 * The text of a mail on its way to a server, with its commit point: the last bytes are let go only once `beforeCommit`
 * resolved and as many bytes came as the mail has. A text that fails never ends, so the server never gets it whole.
 */
export class OutgoingText {
  #committed = false;
  #failure: TextFailure | 'commitRefused' | undefined;
  #opened = false;
  #committing: Promise<void> | undefined;
  readonly #cut = new AbortController();
  readonly #mail: FrozenMail;
  readonly #beforeCommit: () => Promise<void>;
  readonly #signal: AbortSignal;
  readonly #stream: Readable;

  constructor(mail: FrozenMail, beforeCommit: () => Promise<void>, signal: AbortSignal) {
    this.#mail = mail;
    this.#beforeCommit = beforeCommit;
    this.#signal = signal;
    this.#stream = Readable.from(this.#text(), { objectMode: false, highWaterMark: READ_AHEAD_BYTES });
    // The reader may have gone by the time the text fails; `failure` keeps what there is to know.
    this.#stream.on('error', () => {});
  }

  /** For the connection to read. Nothing is opened before the first read. */
  get stream(): Readable {
    return this.#stream;
  }

  /** True once the text was asked for: the server had agreed to take it by then (SMTP: DATA; IMAP: the continuation). */
  get opened(): boolean {
    return this.#opened;
  }

  /** True once `beforeCommit` resolved and the last bytes were let go: from here a lost answer is uncertain. */
  get committed(): boolean {
    return this.#committed;
  }

  /** True once the last byte was taken: only now can a reply to the mail be meant. */
  get ended(): boolean {
    return this.#stream.readableEnded;
  }

  /** Why the text stopped before its end; undefined where it did not, or was cut. */
  get failure(): TextFailure | 'commitRefused' | undefined {
    return this.#failure;
  }

  /** Stops the text. Resolves when no `beforeCommit` is under way any more, so that a receipt never overtakes it. */
  async cut(): Promise<void> {
    this.#cut.abort();
    this.#stream.destroy();
    await this.#committing;
  }

  async *#text(): AsyncGenerator<Buffer, void, void> {
    this.#opened = true;
    let keptBack: Buffer = Buffer.alloc(0);
    const signal = AbortSignal.any([this.#signal, this.#cut.signal]);
    try {
      for await (const chunk of mailText(this.#mail, signal)) {
        const joined =
          chunk.length >= KEPT_BACK_BYTES && keptBack.length === 0 ? chunk : Buffer.concat([keptBack, chunk]);
        const kept = Math.min(joined.length, KEPT_BACK_BYTES);
        // A copy: a view would keep the whole chunk alive.
        keptBack = Buffer.from(joined.subarray(joined.length - kept));
        yield* pieces(joined.subarray(0, joined.length - kept));
      }
    } catch (error) {
      if (error instanceof TextUnusable && !signal.aborted) this.#failure = error.failure;
      throw error;
    }
    await this.#commit();
    if (keptBack.length > 0) yield keptBack;
  }

  async #commit(): Promise<void> {
    const refuseIfCut = () => {
      // The connection is gone: what it was to carry never reaches the server.
      if (this.#cut.signal.aborted || this.#stream.destroyed) throw new Error('cut before the commit');
    };
    refuseIfCut();
    const asked = (async () => this.#beforeCommit())();
    this.#committing = asked.catch(() => {});
    try {
      await asked;
    } catch (error) {
      if (!this.#signal.aborted) this.#failure = 'commitRefused';
      throw error;
    }
    refuseIfCut();
    this.#committed = true;
  }
}

/** A piece at a time, so that a socket that does not take them holds back what follows, the commit included. */
function* pieces(bytes: Buffer): Generator<Buffer, void, void> {
  for (let at = 0; at < bytes.length; at += READ_AHEAD_BYTES) yield bytes.subarray(at, at + READ_AHEAD_BYTES);
}
