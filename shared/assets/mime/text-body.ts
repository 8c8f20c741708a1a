import type { Readable } from 'node:stream';
import { type CharsetDecoder, charsetDecoder } from './charsets.ts';
import { Delivery } from './delivery.ts';
import type { Defects } from './mail.ts';
import { PlainLines } from './plain-lines.ts';
import { cutUtf8 } from './utf8-cut.ts';

/**
 * The text or the html of a mail, from one part or several. Holds it up to the inline limit; above, all of it goes to
 * `long` and only the beginning is kept.
 */
export class TextBody {
  readonly #limit: number;
  readonly #defects: Defects;
  readonly #lines: PlainLines;
  readonly #long: (content: Readable) => Promise<void>;
  #chunks: Buffer[] = [];
  #size = 0;
  #begun = false;
  #delivery: Delivery | undefined;
  #decoder: CharsetDecoder | undefined;
  #truncated = false;

  constructor(limit: number, defects: Defects, long: (content: Readable) => Promise<void>) {
    this.#limit = limit;
    this.#defects = defects;
    this.#lines = new PlainLines(() => void defects.add('nul-bytes'));
    this.#long = long;
  }

  /** True until the body went to `long`: what comes later can no longer be appended. */
  get takesMore(): boolean {
    return !this.#truncated;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  /** Begins a part. A second one goes below the first, as mail clients show it. */
  begin(charset: string | undefined): void {
    this.#decoder = charsetDecoder(charset, this.#defects);
    if (this.#begun && this.#chunks.at(-1)?.at(-1) !== 0x0a) this.#append('\n');
    this.#begun = true;
  }

  write(bytes: Buffer): Promise<void> | undefined {
    return this.#append(this.#decoder?.write(bytes) ?? '');
  }

  async endPart(): Promise<void> {
    await this.#append(this.#decoder?.end() ?? '');
    this.#decoder = undefined;
    await this.#delivery?.end();
    this.#delivery = undefined;
  }

  /** Cuts a body that is being handed over. */
  abort(reason: unknown): void {
    this.#delivery?.abort(reason);
  }

  /** What is kept: all of it, or its beginning, cut between two characters. Undefined where no part was a body. */
  get value(): string | undefined {
    if (!this.#begun) return undefined;
    return cutUtf8(Buffer.concat(this.#chunks), this.#limit).toString('utf8');
  }

  #append(text: string): Promise<void> | undefined {
    if (text === '') return undefined;
    const bytes = this.#lines.clean(Buffer.from(text, 'utf8'));
    if (this.#delivery) return this.#delivery.write(bytes);
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    return this.#size > this.#limit ? this.#overflow() : undefined;
  }

  async #overflow(): Promise<void> {
    const whole = Buffer.concat(this.#chunks);
    this.#truncated = true;
    this.#chunks = [Buffer.from(cutUtf8(whole, this.#limit))];
    this.#delivery = new Delivery(this.#long);
    await this.#delivery.write(whole);
  }
}
