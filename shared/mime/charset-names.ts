import { TextDecoder } from 'node:util';

/** Names mail uses that the WHATWG Encoding Standard lacks, or where a superset reads more than the name promises. */
const aliases = new Map([
  ['gb2312', 'gb18030'],
  ['gbk', 'gb18030'],
  ['cp936', 'gb18030'],
  ['ms936', 'gb18030'],
  ['windows-936', 'gb18030'],
  ['euc-cn', 'gb18030'],
  ['x-euc-cn', 'gb18030'],
  ['gbk2k', 'gb18030'],
  ['gb13000', 'gb18030'],
  ['cp949', 'euc-kr'],
  ['ms949', 'euc-kr'],
  ['uhc', 'euc-kr'],
  ['x-windows-949', 'euc-kr'],
  ['cp932', 'shift_jis'],
  ['windows-932', 'shift_jis'],
  ['cswindows31j', 'shift_jis'],
  ['x-ms-cp932', 'shift_jis'],
  ['x-mac-japanese', 'shift_jis'],
  ['eucjp', 'euc-jp'],
  ['eucjp-win', 'euc-jp'],
  ['cp51932', 'euc-jp'],
  ['cp950', 'big5'],
  ['ms950', 'big5'],
  ['big5-eten', 'big5'],
  ['cp50220', 'iso-2022-jp'],
  ['cp50221', 'iso-2022-jp'],
  ['cp50222', 'iso-2022-jp'],
  ['iso-2022-jp-ms', 'iso-2022-jp'],
  ['iso-2022-jp-1', 'iso-2022-jp'],
  ['iso-2022-jp-2', 'iso-2022-jp'],
  ['iso-2022-jp-3', 'iso-2022-jp'],
  ['utf8mb4', 'utf-8'],
  ['cp65001', 'utf-8'],
  ['utf-8-bom', 'utf-8'],
  ['utf8-bom', 'utf-8'],
  ['utf-8-sig', 'utf-8'],
  ['iso-8859-8-e', 'iso-8859-8'],
  ['ansi', 'windows-1252'],
  ['8859_1', 'windows-1252'],
  ['windows-28591', 'windows-1252'],
  ['utf16', 'utf-16'],
  ['unicode', 'utf-16'],
  ['csunicode', 'utf-16'],
  ['ucs-2', 'utf-16'],
  ['iso-10646-ucs-2', 'utf-16'],
  ['utf16le', 'utf-16le'],
  ['ucs-2le', 'utf-16le'],
  ['unicodefeff', 'utf-16le'],
  ['utf16be', 'utf-16be'],
  ['unicodefffe', 'utf-16be'],
  ['utf7', 'utf-7'],
  ['unicode-1-1-utf-7', 'utf-7'],
  ['unicode-2-0-utf-7', 'utf-7'],
  ['csunicode11utf7', 'utf-7'],
  ['x-unicode-2-0-utf-7', 'utf-7'],
  ['x-utf-7', 'utf-7'],
  ['cp65000', 'utf-7'],
]);

/** Names that say nothing about the bytes above 127. */
const unspecified = new Set([
  '',
  'us-ascii',
  'ascii',
  'ansi_x3.4-1968',
  'unknown',
  'unknown-8bit',
  'x-unknown',
  'default',
  'default_charset',
  'none',
  '8bit',
  '7bit',
  'binary',
]);

/**
 * Codecs of iconv-lite for charsets that the runtime calls its own and of which it knows a part only: half of the Hangul
 * syllables (KS X 1001 without Microsoft's extension), Big5 without the characters of Hong Kong. The Encoding Standard
 * has both.
 */
const completeCodecs = new Map([
  ['euc-kr', 'cp949'],
  ['big5', 'big5hkscs'],
]);

/** The codec of iconv-lite that is to be used in place of the runtime's decoder; undefined where that is right. */
export function completeCodec(name: string): string | undefined {
  return isKnownToRuntime(name) ? completeCodecs.get(new TextDecoder(name).encoding) : undefined;
}

/** Names that were asked for, most of them again and again, and whether the runtime has a decoder for them. */
const asked = new Map<string, boolean>();
const MAX_ASKED = 500;

/** Whether the runtime decodes a charset. The answer is kept: each trial throws an error, and a header may have thousands. */
export function isKnownToRuntime(name: string): boolean {
  const known = asked.get(name);
  if (known !== undefined) return known;
  if (asked.size >= MAX_ASKED) asked.clear();
  const found = hasDecoder(name);
  asked.set(name, found);
  return found;
}

function hasDecoder(name: string): boolean {
  try {
    new TextDecoder(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * A charset's name as the decoders have it; undefined where the name says nothing. Mail quotes it, puts blanks around
 * it, an RFC 2231 language behind it after `*`, or glues the next parameter on; `3D` in front is quoted-printable.
 */
export function charsetName(charset: string | undefined): string | undefined {
  const given = (charset ?? '')
    .slice(0, 80)
    .toLowerCase()
    .replace(/^(?:charset=|3d|["'\s])+/, '')
    .replace(/["'\s;,*][\s\S]*/, '');
  return unspecified.has(given) ? undefined : (aliases.get(given) ?? given);
}
