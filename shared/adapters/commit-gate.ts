import { Readable } from 'node:stream';
import type { FrozenMail } from './transport.ts';

/**
 * Bytes that stay behind until the commit is through. Small, so that what may be lost by a crash between commit and
 * last byte leaves in one segment; what ends a mail (SMTP: the dot; IMAP: the last byte of the literal) is among them or behind them.
 */
const HELD_BACK_BYTES = 512;
/** Read ahead of the socket, and the largest piece handed on: more would commit earlier than needed. */
const READ_AHEAD_BYTES = 16_384;

/** Why the text of a mail stopped before its end. */
export type TextFailure = 'unreadable' | 'wrongSize' | 'commitRefused';

/**
 * The text of a mail on its way to a server, with its commit point: the last bytes are let go only once `beforeCommit`
 * resolved and as many bytes came as the mail has. A text that fails never ends, so the server never gets it whole.
 */
export class CommitGate {
  #committed = false;
  #cut = false;
  #failure: TextFailure | undefined;
  #opened = false;
  #committing: Promise<void> | undefined;
  #source: Readable | undefined;
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

  get failure(): TextFailure | undefined {
    return this.#failure;
  }

  /** Stops the text. Resolves when no `beforeCommit` is under way any more, so that a receipt never overtakes it. */
  async cut(): Promise<void> {
    this.#cut = true;
    this.#stream.destroy();
    // A source that has gone silent would keep its reader waiting.
    this.#source?.destroy();
    await this.#committing;
  }

  async *#text(): AsyncGenerator<Buffer, void, void> {
    this.#opened = true;
    let held: Buffer = Buffer.alloc(0);
    let total = 0;
    try {
      const source = await this.#mail.open(this.#signal);
      this.#source = source;
      for await (const piece of source) {
        const chunk: Buffer = Buffer.isBuffer(piece) ? piece : Buffer.from(piece);
        total += chunk.length;
        if (total > this.#mail.size) break;
        const joined = chunk.length >= HELD_BACK_BYTES && held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        const kept = Math.min(joined.length, HELD_BACK_BYTES);
        // A copy: a view would keep the whole chunk alive.
        held = Buffer.from(joined.subarray(joined.length - kept));
        yield* pieces(joined.subarray(0, joined.length - kept));
      }
    } catch (error) {
      if (!this.#cut && !this.#signal.aborted) this.#failure = 'unreadable';
      throw error;
    } finally {
      this.#source?.destroy();
    }
    if (total !== this.#mail.size) {
      this.#failure = 'wrongSize';
      throw new Error('the text does not have the size of the mail');
    }
    await this.#commit();
    if (held.length > 0) yield held;
  }

  async #commit(): Promise<void> {
    const refuseIfCut = () => {
      // The connection is gone: what it was to carry never reaches the server.
      if (this.#cut || this.#stream.destroyed) throw new Error('cut before the commit');
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
