import type { Socket } from 'node:net';
import type { DialogueLog } from '../dialogue.ts';
import { StoreError } from '../store.ts';
import { abortedError } from '../store-troubles.ts';
import { connectionLost, nonsense, silenceError } from './pop3-errors.ts';

/**
 * Longest line read, in octets. RFC 1939 allows 512 and RFC 2449 no more; SASL challenges are longer. Beyond it the
 * connection is given up: a server must not fill the memory with a line that never ends.
 */
const MAX_LINE = 8_192;

const NOTHING = Buffer.alloc(0);

/** A command as the dialogue shows it: a password's own line, and an answer in a sign-in (base64), are left out. */
function shown(line: string): string {
  if (line.startsWith('PASS ')) return 'PASS (hidden)';
  return /^[A-Z]{3,4}(?: |$)/.test(line) ? line : '(hidden)';
}

/**
 * A socket as lines and octets, read only when somebody asks, so that the server is held back where the consumer is slow.
 * Whatever waits here ends with the signal, with the silence limit or with the connection; each destroys the socket, and
 * from then on everything fails with the first reason.
 */
export class LineSocket {
  readonly #socket: Socket;
  /** ms without an octet while one is waited for; 0: only the signal bounds it. */
  readonly #silenceLimit: number;
  readonly #dialogue: DialogueLog | undefined;
  #buffer: Buffer = NOTHING;
  #failure: StoreError | undefined;
  /** Why the socket ended, once it has. */
  #ended: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  readonly #listeners: Readonly<Record<'readable' | 'end' | 'close' | 'error', (error?: unknown) => void>>;

  constructor(socket: Socket, silenceLimit: number, dialogue?: DialogueLog) {
    this.#socket = socket;
    this.#silenceLimit = silenceLimit;
    this.#dialogue = dialogue;
    const ended = () => {
      this.#ended ??= {};
      this.#wake?.();
    };
    this.#listeners = {
      readable: () => this.#wake?.(),
      end: ended,
      close: ended,
      error: (error) => {
        this.#ended = { error };
        this.#wake?.();
      },
    };
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    socket.setNoDelay(true);
  }

  /** Whether it can still be used, as far as is known. */
  get alive(): boolean {
    return this.#failure === undefined && this.#ended === undefined;
  }

  /** Octets are there that nobody has read: while no answer is due, they answer what was not asked. */
  get early(): boolean {
    return this.#buffer.length > 0 || this.#socket.readableLength > 0;
  }

  /** Sends lines, each without its line end. Throws what ended the connection. */
  write(lines: readonly string[]): void {
    if (this.#failure) throw this.#failure;
    if (this.#dialogue) for (const line of lines) this.#dialogue.client(shown(line));
    this.#socket.write(lines.map((line) => `${line}\r\n`).join(''));
  }

  /** The next line without its line end, one character an octet. `doing` names what is waited for, without secrets. */
  async line(doing: string, signal: AbortSignal): Promise<string> {
    let from = 0;
    for (;;) {
      const end = this.#buffer.indexOf(10, from);
      if (end > MAX_LINE || (end < 0 && this.#buffer.length > MAX_LINE)) {
        throw this.fail(nonsense(doing, 'a line that is too long', 'LINE_TOO_LONG'));
      }
      if (end >= 0) {
        const line = this.#buffer.subarray(0, end > 0 && this.#buffer[end - 1] === 13 ? end - 1 : end);
        this.#buffer = this.#buffer.subarray(end + 1);
        return line.toString('latin1');
      }
      from = this.#buffer.length;
      const chunk = await this.#next(doing, signal);
      this.#buffer = from === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    }
  }

  /** Puts the first line of an answer into the dialogue; what follows it are lists and mails. */
  logReply(line: string): void {
    this.#dialogue?.server(line);
  }

  /** The next octets, as many as there are. */
  async octets(doing: string, signal: AbortSignal): Promise<Buffer> {
    const { length } = this.#buffer;
    if (length === 0) return this.#next(doing, signal);
    const octets = this.#buffer;
    this.#buffer = NOTHING;
    return octets;
  }

  /** Gives back octets that belong to the next answer. */
  unread(octets: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? octets : Buffer.concat([octets, this.#buffer]);
  }

  /**
   * The bare socket, for TLS to begin on it. Throws where octets are there already: they came unencrypted, and somebody in
   * between may have put them there to be taken for answers under TLS (RFC 2595 section 4, CVE-2011-0411).
   */
  release(): Socket {
    if (this.#failure) throw this.#failure;
    if (this.early) {
      throw this.fail(
        new StoreError('connection', 'the server sent plain text after it agreed to STLS', {
          code: 'STARTTLS_INJECTION',
          hint: 'Somebody in between may have put plain text into the connection. Use pop3s, and look at the network.',
        }),
      );
    }
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    return this.#socket;
  }

  /** Destroys the socket and fails whatever waits. The first reason stays, and is answered. */
  fail(failure: StoreError): StoreError {
    this.#failure ??= failure;
    this.#socket.destroy();
    this.#wake?.();
    return this.#failure;
  }

  /** Ends the connection without a word, where whoever asks knows why. */
  destroy(): void {
    this.fail(new StoreError('connection', 'the session is over', { code: 'CLOSED' }));
  }

  /** Resolves when the server has closed the connection, or after `limit` ms. Never throws. */
  async closedByServer(limit: number): Promise<void> {
    const end = performance.now() + limit;
    while (this.alive && performance.now() < end) {
      this.#socket.read();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, end - performance.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  async #next(doing: string, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      if (signal.aborted) throw this.fail(abortedError(signal));
      const chunk: unknown = this.#socket.read();
      if (Buffer.isBuffer(chunk)) return chunk;
      if (this.#ended) throw this.fail(connectionLost(this.#ended.error, doing));
      await this.#event(doing, signal);
    }
  }

  /** Waits until something has happened to the socket. */
  #event(doing: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#wake = undefined;
        resolve();
      };
      const onAbort = () => this.fail(abortedError(signal));
      // Where this process was held up, octets may be waiting that nobody has had the time to read: look once more.
      const onSilence = () =>
        setImmediate(() => {
          if (this.#wake === wake) this.fail(silenceError(doing));
        });
      const timer = this.#silenceLimit > 0 ? setTimeout(onSilence, this.#silenceLimit) : undefined;
      this.#wake = wake;
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
