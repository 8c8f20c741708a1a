import { TextDecoder } from 'node:util';
import iconv from 'iconv-lite';
import { completeCodec, isKnownToRuntime } from './charset-names.ts';
import { detectCharset } from './detect-charset.ts';
import type { Defects } from './mail.ts';

/** Charsets of one language: a text that does not fit the declared one may be in another of them. */
const japanese = ['iso-2022-jp', 'shift_jis', 'euc-jp'];

/** Bytes of text that are ASCII throughout: in UTF-16 they would be a text of rare characters. */
const MIN_ASCII = 8;

/** Characters of UTF-8 above ASCII that no other charset brings about by chance. */
const MIN_UTF8_CHARACTERS = 3;

interface Beginning {
  /** The text from its first byte above 127 on, or as far as it is there. */
  readonly bytes: Buffer;
  /** The text ends with these bytes; otherwise the last character may be cut. */
  readonly complete: boolean;
  readonly defects: Defects;
}

/** The charset that a byte order mark stands for. */
export function markedCharset(bytes: Buffer): string | undefined {
  const [first, second, third, fourth] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xff && second === 0xfe)
    return third === 0 && fourth === 0 && bytes.length >= 4 ? 'utf-32le' : 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return undefined;
}

/**
 * The charset of a text whose declared one is `name`: that one, unless the bytes cannot be it and another is certain.
 * Without a name: UTF-8, what is certain, or windows-1252.
 */
export function chooseCharset(name: string | undefined, beginning: Beginning): string {
  const { bytes, complete, defects } = beginning;
  if (name === undefined) return guess(beginning);
  if (fitsDeclared(bytes, name, complete)) return name;
  const better = otherThan(name, bytes, complete);
  if (better === undefined) return name;
  defects.add('wrong-charset');
  return better;
}

function guess({ bytes, complete, defects }: Beginning): string {
  if (!hasJapaneseShift(bytes) && isUtf8(bytes, !complete)) return 'utf-8';
  defects.add('undeclared-charset');
  if (hasJapaneseShift(bytes)) return 'iso-2022-jp';
  return detectCharset(bytes, complete) ?? 'windows-1252';
}

function fitsDeclared(bytes: Buffer, name: string, complete: boolean): boolean {
  if (name === 'utf-7') return !bytes.some((byte) => byte > 127);
  const shifted = hasJapaneseShift(bytes);
  if (shifted && (name === 'utf-8' || japanese.includes(name))) return name === 'iso-2022-jp';
  // A charset that the runtime does not know cannot be tried here.
  return !isKnownToRuntime(name) || decodes(bytes, name, !complete);
}

function otherThan(name: string, bytes: Buffer, complete: boolean): string | undefined {
  if (hasJapaneseShift(bytes) && name !== 'iso-2022-jp') return 'iso-2022-jp';
  if (!bytes.some((byte) => byte > 127)) return undefined;
  if (name !== 'utf-8' && isUtf8(bytes, !complete)) return 'utf-8';
  const certain = detectCharset(bytes, complete);
  if (certain !== undefined) return certain;
  if (japanese.includes(name)) {
    return ['euc-jp', 'shift_jis'].find((other) => other !== name && decodes(bytes, other, !complete));
  }
  if (name === 'utf-7') return 'windows-1252';
  return name === 'utf-8' && isWestern(bytes) ? 'windows-1252' : undefined;
}

/** Quotes, dashes, ligatures and other signs of windows-1252 that are no letters of the range above 0xC0. */
const westernSigns = new Set(Buffer.from('80858a8b8c8e919293949596979a9b9c9e9fa0a1a3a7a9aaabaeb0b4b7babbbf99', 'hex'));

/** Letters and signs of windows-1252, in a text that has no character of UTF-8. */
function isWestern(bytes: Buffer): boolean {
  for (const [at, byte] of bytes.entries()) {
    if (byte < 0x80) continue;
    const letter = byte >= 0xc0 && byte < 0xfe && byte !== 0xd7 && byte !== 0xf7;
    if (!letter && !westernSigns.has(byte)) return false;
    const twoBytes = byte >= 0xc2 && byte < 0xe0 && isContinuation(bytes[at + 1]);
    const threeBytes = byte >= 0xe0 && byte < 0xf0 && isContinuation(bytes[at + 1]) && isContinuation(bytes[at + 2]);
    if (twoBytes || threeBytes) return false;
  }
  return true;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xc0;
}

/** ESC $ @, ESC $ B, ESC ( J: nothing else begins so. */
function hasJapaneseShift(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(0x1b); at >= 0; at = bytes.indexOf(0x1b, at + 1)) {
    const [, second, third] = bytes.subarray(at, at + 3);
    if (second === 0x24 && (third === 0x40 || third === 0x42)) return true;
    if (second === 0x28 && third === 0x4a) return true;
  }
  return false;
}

/**
 * Which UTF-16 a text without a mark is. ASCII signs are in most texts of any language, and one byte of theirs is NUL;
 * without any, big-endian (RFC 2781 section 4.3). Bytes that are ASCII throughout are no UTF-16.
 */
export function chooseUtf16(name: string | undefined, bytes: Buffer, defects: Defects): string {
  if (name === 'utf-16le' || name === 'utf-16be') return name;
  let even = 0;
  let odd = 0;
  let ascii = true;
  for (const [at, byte] of bytes.entries()) {
    if (byte === 0 && at % 2 === 0) even++;
    else if (byte === 0) odd++;
    if (byte > 126 || (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13)) ascii = false;
  }
  if (name === undefined) {
    // Nobody said UTF-16: only a regular pattern of NULs makes it one.
    const most = Math.max(even, odd);
    const regular = most >= 3 && most >= bytes.length / 4 && Math.min(even, odd) <= bytes.length / 50;
    if (!regular) return guess({ bytes, complete: true, defects });
    defects.add('undeclared-charset');
  } else if (ascii && bytes.length >= MIN_ASCII) {
    defects.add('wrong-charset');
    return 'utf-8';
  }
  return odd > even ? 'utf-16le' : 'utf-16be';
}

/** Whether bytes are text of a charset of `charsetName`, with no character missing or unknown. */
export function isText(bytes: Buffer, name: string): boolean {
  return decodes(bytes, name, false);
}

/** Whether bytes are valid UTF-8. `cut`: their last character may be unfinished. */
export function isUtf8(bytes: Buffer, cut: boolean): boolean {
  return decodes(bytes, 'utf-8', cut);
}

/** Whether bytes have so many UTF-8 sequences that they can be of no other charset. */
export function isCertainlyUtf8(bytes: Buffer): boolean {
  if (!isUtf8(bytes, true)) return false;
  let characters = 0;
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] ?? 0) >= 0xc0) characters++;
  return characters >= MIN_UTF8_CHARACTERS;
}

/** With `cut`, a last character may be unfinished. */
function decodes(bytes: Buffer, name: string, cut: boolean): boolean {
  const codec = completeCodec(name);
  if (codec !== undefined) {
    const decoder = iconv.getDecoder(codec);
    return !(decoder.write(bytes) + (cut ? '' : (decoder.end() ?? ''))).includes('\ufffd');
  }
  try {
    new TextDecoder(name, { fatal: true }).decode(bytes, { stream: cut });
    return true;
  } catch {
    return false;
  }
}
