import { Transform, type TransformCallback } from 'node:stream';

/**
 * Counts the octets of a server's answers before the library makes anything of them, and ends the connection where there
 * are more than what was asked for can take. The library bounds a line, a literal and a single answer; nothing in it bounds
 * how many answers come.
 */
export class AnswerBudget {
  #left: number;
  readonly #exceeded: () => void;

  /** `octets`: what may come before anything is allowed. `exceeded` is called once, and nothing is read from then on. */
  constructor(client: object, octets: number, exceeded: () => void) {
    this.#left = octets;
    this.#exceeded = exceeded;
    this.#watch(parserOf(client));
  }

  /** From now on so many octets may come: those of the next command's answers. */
  allow(octets: number): void {
    if (this.#left >= 0) this.#left = octets;
  }

  #watch(parser: Transform): void {
    const read = parser._transform.bind(parser);
    Object.defineProperty(parser, '_transform', {
      value: (chunk: Buffer, encoding: BufferEncoding, next: TransformCallback) => {
        if (this.#left < 0) return;
        this.#left -= chunk.length;
        if (this.#left >= 0) read(chunk, encoding, next);
        else this.#exceeded();
      },
    });
  }
}

/** The stream that makes answers of octets: in the library's code and not in its types. */
function parserOf(client: object): Transform {
  if (!('streamer' in client) || !(client.streamer instanceof Transform)) {
    throw new Error('this version of imapflow has no streamer');
  }
  return client.streamer;
}
