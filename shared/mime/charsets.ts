import { isAscii } from 'node:buffer';
import { TextDecoder } from 'node:util';
import iconv from 'iconv-lite';
import { charsetName, completeCodec, isKnownToRuntime } from './charset-names.ts';
import { chooseCharset, chooseUtf16, isText, isUtf8, markedCharset } from './choose-charset.ts';
import { declaredInMarkup } from './html-charset.ts';
import { Iso2022JpDecoder } from './iso-2022-jp.ts';
import type { Defects } from './mail.ts';
import { Utf7Decoder } from './utf-7.ts';

/** Turns bytes into text, chunk by chunk, holding back only an unfinished character. */
export interface CharsetDecoder {
  write(bytes: Buffer): string;
  end(): string;
}

/** Bytes that are held back, from the first above 127 on, until a charset is chosen. */
const HELD = 8 * 1024;

/** Bytes of HTML in which its charset must stand (HTML, "prescan a byte stream"); senders put styles before it. */
const MARKUP = 4 * 1024;

/** Codecs of iconv-lite that are no character sets. */
const noCharset = /^(?:base64|hex|internal|utf-?7.*)$/;

/**
 * Decoder for a charset by its name in mail. A byte order mark decides first, then the name, then, in `html`, what the
 * markup declares. Where none says anything, or the bytes cannot be what the name says: UTF-8 where they are valid
 * UTF-8, an East Asian charset where that is certain, else windows-1252, as mail clients read them. A name that is
 * unknown or wrong is listed as a defect. Bytes that the charset does not have become U+FFFD.
 *
 * The runtime's own decoders come first: they are fast and need a bounded memory for every charset they know, where
 * libmime collects a whole ISO-2022-JP body, and iconv-lite cuts characters of UTF-8 and UTF-16 that fall between two
 * chunks. Where they know a part of a charset only, iconv-lite goes before them.
 */
export function charsetDecoder(
  charset: string | undefined,
  defects: Defects,
  options: { readonly html?: boolean } = {},
): CharsetDecoder {
  return new ChoosingDecoder(charsetName(charset), options.html === true, defects);
}

/** Decodes bytes that are all there. */
export function decodeCharset(bytes: Buffer, charset: string | undefined, defects: Defects): string {
  return decodeAll(charsetDecoder(charset, defects), bytes);
}

function decodeAll(decoder: CharsetDecoder, bytes: Buffer): string {
  return decoder.write(bytes) + decoder.end();
}

/**
 * Text of a header field that carries raw 8-bit bytes: UTF-8 (RFC 6532), else what an escape sequence gives away as
 * ISO-2022-JP, else the charset that the mail declares for its body, where the bytes fit, else what is certain, else
 * windows-1252. Raw bytes that are not UTF-8 are a defect. `raw` has one byte per character.
 */
export function decodeRawHeader(raw: string, bodyCharset: string | undefined, defects: Defects): string {
  const bytes = Buffer.from(raw, 'latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what ISO-2022-JP begins its shifts with.
  if (/\x1b[$(]/.test(raw)) return decodeAll(new Iso2022JpDecoder(), bytes);
  if (isAscii(bytes)) return raw;
  const utf8 = isUtf8(bytes, false);
  if (!utf8) defects.add('undeclared-charset');
  const body = charsetName(bodyCharset);
  const fits = body !== undefined && !utf8 && isText(bytes, body);
  return decodeCharset(bytes, fits ? body : undefined, new Set());
}

/** A decoder for a name of `charsetName`; undefined where there is none. */
function namedDecoder(name: string, defects: Defects): CharsetDecoder | undefined {
  if (name === 'utf-7') return new Utf7Decoder(() => void defects.add('undecodable-text'));
  const codec = completeCodec(name);
  if (codec !== undefined) return new CheckedDecoder(codecDecoder(codec), defects);
  if (isKnownToRuntime(name)) {
    const decoder = new TextDecoder(name);
    if (decoder.encoding === 'iso-2022-jp') return new CheckedDecoder(new Iso2022JpDecoder(), defects);
    return new NativeDecoder(decoder, defects);
  }
  // Not in the Encoding Standard: IBM code pages, Macintosh sets, UTF-32.
  if (noCharset.test(name) || !iconv.encodingExists(name)) return undefined;
  return codecDecoder(name);
}

function codecDecoder(codec: string): CharsetDecoder {
  const decoder = iconv.getDecoder(codec);
  return { write: (bytes) => decoder.write(bytes), end: () => decoder.end() ?? '' };
}

/** Chooses a decoder by the name given and by the first bytes that decide, which it keeps until then. */
class ChoosingDecoder implements CharsetDecoder {
  readonly #defects: Defects;
  #name: string | undefined;
  /** The markup may still declare a charset. */
  #html: boolean;
  #decoder: CharsetDecoder | undefined;
  #held: Buffer = Buffer.alloc(0);
  /** Some text went out already. */
  #begun = false;

  constructor(name: string | undefined, html: boolean, defects: Defects) {
    this.#name = name;
    this.#html = html && name === undefined;
    this.#defects = defects;
  }

  write(bytes: Buffer): string {
    if (this.#decoder !== undefined) return this.#decoder.write(bytes);
    if (bytes.length === 0) return '';
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const from = this.#undecided(all);
    this.#held = Buffer.from(all.subarray(from));
    if (from > 0) this.#begun = true;
    const text = all.toString('latin1', 0, from);
    return this.#held.length < (this.#html ? MARKUP : HELD) ? text : text + this.#choose(false);
  }

  end(): string {
    let text = '';
    // Twice: what the markup declares comes first.
    while (this.#decoder === undefined && this.#held.length > 0) text += this.#choose(true);
    return text + (this.#decoder?.end() ?? '');
  }

  /** Where the bytes begin of which the charset must be known: those before are the same in each that is possible. */
  #undecided(bytes: Buffer): number {
    if (this.#html || !isAsciiSuperset(this.#name)) return 0;
    for (const [at, byte] of bytes.entries()) {
      if (byte > 127) return at;
      // UTF-16 without a mark; and a shift of ISO-2022-JP.
      if (byte === 0 && at < 4 && !this.#begun) return 0;
      if (byte === 0x1b && [0x24, 0x28, undefined].includes(bytes[at + 1])) return at;
    }
    return bytes.length;
  }

  #choose(complete: boolean): string {
    const bytes = this.#held;
    this.#held = Buffer.alloc(0);
    const marked = this.#begun ? undefined : markedCharset(bytes);
    if (this.#html && marked === undefined) {
      this.#html = false;
      this.#name = declaredInMarkup(bytes);
      return this.write(bytes);
    }
    this.#decoder = this.#decoderFor(marked ?? this.#nameFor(bytes, complete), bytes, complete);
    return this.#decoder.write(bytes);
  }

  #nameFor(bytes: Buffer, complete: boolean): string {
    const name = this.#name;
    const wide = name === undefined ? !this.#begun && bytes.includes(0) : name.startsWith('utf-16');
    if (wide) return chooseUtf16(name, bytes, this.#defects);
    return chooseCharset(name, { bytes, complete, defects: this.#defects });
  }

  #decoderFor(name: string, bytes: Buffer, complete: boolean): CharsetDecoder {
    const decoder = namedDecoder(name, this.#defects);
    if (decoder) return decoder;
    this.#defects.add('unknown-charset');
    const guessed = chooseCharset(undefined, { bytes, complete, defects: new Set() });
    return namedDecoder(guessed, new Set()) ?? new NativeDecoder(new TextDecoder('windows-1252'), new Set());
  }
}

/** Whether ASCII bytes mean themselves until a byte above 127 or a shift comes. */
function isAsciiSuperset(name: string | undefined): boolean {
  if (name === undefined) return true;
  return name !== 'utf-7' && !name.startsWith('utf-16') && isKnownToRuntime(name);
}

/** Notes characters that could not be decoded. */
class CheckedDecoder implements CharsetDecoder {
  readonly #decoder: CharsetDecoder;
  readonly #defects: Defects;

  constructor(decoder: CharsetDecoder, defects: Defects) {
    this.#decoder = decoder;
    this.#defects = defects;
  }

  write(bytes: Buffer): string {
    return checked(this.#decoder.write(bytes), this.#defects);
  }

  end(): string {
    return checked(this.#decoder.end(), this.#defects);
  }
}

function checked(text: string, defects: Defects): string {
  if (text.includes('\ufffd')) defects.add('undecodable-text');
  return text;
}

/** A charset the runtime knows. Text that is ASCII so far does without the decoder, but for UTF-16. */
class NativeDecoder implements CharsetDecoder {
  readonly #decoder: TextDecoder;
  readonly #defects: Defects;
  #idle: boolean;

  constructor(decoder: TextDecoder, defects: Defects) {
    this.#decoder = decoder;
    this.#defects = defects;
    this.#idle = !decoder.encoding.startsWith('utf-16');
  }

  write(bytes: Buffer): string {
    if (this.#idle && isAscii(bytes)) return bytes.toString('latin1');
    this.#idle = false;
    return checked(this.#decoder.decode(bytes, { stream: true }), this.#defects);
  }

  end(): string {
    return this.#idle ? '' : checked(this.#decoder.decode(), this.#defects);
  }
}
