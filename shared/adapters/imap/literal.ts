import type { Readable, Writable } from 'node:stream';

const LINE_END = Buffer.from('\r\n');

/**
 * The octets of a synchronizing literal (RFC 3501 section 4.3), the last argument of its command, on their way from a
 * stream to the socket: a piece leaves when the system has taken the one before, so that no mail is ever held whole.
 */
export class Literal {
  readonly #text: Readable;
  #begun = false;
  #ended = false;
  #writing = false;
  #written = 0;

  /** `text` gives exactly as many octets as the head of the literal says, or fails. */
  constructor(text: Readable) {
    this.#text = text;
  }

  /** True once the server asked for the octets. */
  get begun(): boolean {
    return this.#begun;
  }

  /** True once the last octets are on their way and all others were taken: only now can an OK be meant. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Octets that the system has taken. */
  get written(): number {
    return this.#written;
  }

  /** True while something is asked of the server: to go on, to take octets, or to answer. Else the source is awaited. */
  get serverIsDue(): boolean {
    return !this.#begun || this.#writing || this.#ended;
  }

  /** Writes all of it, and the end of the command's line. Rejects when the text fails or the socket is gone. */
  async write(socket: Writable): Promise<void> {
    this.#begun = true;
    for await (const chunk of this.#text) await this.#put(socket, chunk);
    // The server may have answered before this side hears that its last octets were taken.
    this.#ended = true;
    await this.#put(socket, LINE_END);
  }

  #put(socket: Writable, bytes: Buffer): Promise<void> {
    this.#writing = true;
    return new Promise((resolve, reject) => {
      socket.write(bytes, (error) => {
        this.#writing = false;
        if (error) {
          reject(error);
          return;
        }
        this.#written += bytes.length;
        resolve();
      });
    });
  }
}
