import { TextDecoder } from 'node:util';

/** An escape sequence with nothing before the next one: a shift that shifts nothing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins a shift.
const idleShift = /\x1b(?:\$\(?|\()[@-Z](?=\x1b)/g;

/** What may be such a shift, or the beginning of one, at the end of a chunk. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins a shift.
const trailingShift = /\x1b(?:\$\(?|\()?[@-Z]?$/;

/**
 * ISO-2022-JP, chunk by chunk. The Encoding Standard makes an error of two shifts in a row, which mail has wherever
 * two encoded words or two lines meet; the first is dropped before it is decoded.
 */
export class Iso2022JpDecoder {
  readonly #decoder = new TextDecoder('iso-2022-jp');
  #held = '';

  write(bytes: Buffer): string {
    const text = (this.#held + bytes.toString('latin1')).replace(idleShift, '');
    this.#held = trailingShift.exec(text)?.[0] ?? '';
    return this.#decode(this.#held === '' ? text : text.slice(0, -this.#held.length));
  }

  end(): string {
    const rest = this.#held;
    this.#held = '';
    return this.#decode(rest) + this.#decoder.decode();
  }

  #decode(text: string): string {
    return this.#decoder.decode(Buffer.from(text, 'latin1'), { stream: true });
  }
}
