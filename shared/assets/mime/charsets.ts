import { isAscii } from 'node:buffer';
import { TextDecoder } from 'node:util';
import iconv from 'iconv-lite';
import { Iso2022JpDecoder } from './iso-2022-jp.ts';
import type { Defects } from './mail.ts';

/** Turns bytes into text, chunk by chunk, holding back only an unfinished character. */
export interface CharsetDecoder {
  write(bytes: Buffer): string;
  end(): string;
}

/** Names mail uses that the WHATWG Encoding Standard lacks, or where a superset reads more than the name promises. */
const aliases = new Map([
  ['gb2312', 'gb18030'],
  ['gbk', 'gb18030'],
  ['cp936', 'gb18030'],
  ['ms936', 'gb18030'],
  ['cp949', 'euc-kr'],
  ['ms949', 'euc-kr'],
  ['cp932', 'shift_jis'],
  ['windows-932', 'shift_jis'],
  ['cp950', 'big5'],
  ['cp50220', 'iso-2022-jp'],
  ['cp50221', 'iso-2022-jp'],
  ['iso-2022-jp-ms', 'iso-2022-jp'],
  ['iso-2022-jp-1', 'iso-2022-jp'],
  ['iso-2022-jp-2', 'iso-2022-jp'],
  ['utf8mb4', 'utf-8'],
  ['cp65001', 'utf-8'],
  ['iso-8859-8-e', 'iso-8859-8'],
]);

/** Names that say nothing about the bytes above 127. */
const unspecified = new Set(['', 'us-ascii', 'ascii', 'ansi_x3.4-1968', 'unknown-8bit', '8bit', '7bit', 'binary']);

/**
 * Codecs of iconv-lite that are no character sets, and UTF-7: browsers refuse it, because it hides markup, and the
 * codec loses characters that fall between two chunks.
 */
const refused = /^(?:base64|hex|internal|.*utf-?7.*)$/;

/** As mail writes them: quoted, with blanks, with an RFC 2231 language after `*`, or with the next parameter glued on. */
function normalize(charset: string): string {
  return charset
    .slice(0, 80)
    .toLowerCase()
    .replace(/^["'\s]+/, '')
    .replace(/["'\s;*].*$/s, '');
}

/**
 * Decoder for a charset by its name in mail. No name, or one that says nothing: UTF-8 where the bytes are valid UTF-8,
 * else windows-1252, as mail clients read them. An unknown name likewise, with a defect. Bytes that a known charset
 * does not have become U+FFFD.
 *
 * The runtime's own decoders come first: they are fast and need a bounded memory for every charset they know, where
 * libmime collects a whole ISO-2022-JP body, and iconv-lite cuts characters that fall between two chunks.
 */
export function charsetDecoder(charset: string | undefined, defects: Defects): CharsetDecoder {
  const given = normalize(charset ?? '');
  if (unspecified.has(given)) return new GuessingDecoder();
  const name = aliases.get(given) ?? given;
  try {
    const decoder = new TextDecoder(name);
    if (decoder.encoding === 'iso-2022-jp') return new CheckedDecoder(new Iso2022JpDecoder(), defects);
    return new NativeDecoder(decoder, defects);
  } catch {
    // Not in the Encoding Standard: IBM code pages, Macintosh sets, UTF-32.
  }
  if (!refused.test(name) && iconv.encodingExists(name)) {
    const decoder = iconv.getDecoder(name);
    return { write: (bytes) => decoder.write(bytes), end: () => decoder.end() ?? '' };
  }
  defects.add('unknown-charset');
  return new GuessingDecoder();
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
 * ISO-2022-JP, else windows-1252. `raw` holds one byte per character.
 */
export function decodeRawHeader(raw: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what ISO-2022-JP begins its shifts with.
  if (/\x1b[$(]/.test(raw)) return decodeAll(new Iso2022JpDecoder(), Buffer.from(raw, 'latin1'));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole ASCII range is meant.
  if (/^[\x00-\x7f]*$/.test(raw)) return raw;
  return decodeAll(new GuessingDecoder(), Buffer.from(raw, 'latin1'));
}

/** Tells of characters that could not be decoded. */
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

/** UTF-8 or windows-1252, decided by the first bytes above 127. */
class GuessingDecoder implements CharsetDecoder {
  #decoder: TextDecoder | undefined;
  /** The beginning of one UTF-8 character, or a letter of windows-1252: what follows will tell. */
  #held: Buffer | undefined;

  write(bytes: Buffer): string {
    if (this.#decoder !== undefined) return this.#decoder.decode(bytes, { stream: true });
    if (this.#held === undefined && isAscii(bytes)) return bytes.toString('latin1');
    const all = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    this.#held = undefined;
    const high = all.findIndex((byte) => byte > 127);
    const rest = all.subarray(high);
    if (rest.length < 4 && isUtf8(rest, { stream: true }) && !isUtf8(rest, {})) {
      this.#held = Buffer.from(rest);
      return all.toString('latin1', 0, high);
    }
    this.#decoder = new TextDecoder(isUtf8(rest, { stream: true }) ? 'utf-8' : 'windows-1252');
    return this.#decoder.decode(all, { stream: true });
  }

  end(): string {
    // An unfinished character at the very end is none.
    if (this.#held !== undefined) return new TextDecoder('windows-1252').decode(this.#held);
    return this.#decoder?.decode() ?? '';
  }
}

/** With `stream`, a last character may be unfinished. */
function isUtf8(bytes: Buffer, options: { readonly stream?: boolean }): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, options);
    return true;
  } catch {
    return false;
  }
}
