import { charsetName } from './charset-names.ts';
import { decodeCharset } from './charsets.ts';
import { isText, isUtf8 } from './choose-charset.ts';
import type { Defects } from './mail.ts';
import { Base64Decoder } from './transfer-base64.ts';

/** `=?charset?encoding?`; a charset name is short, which keeps the search linear. */
const opening = /=\?([^?\s]{1,80})\?([bq])\?/iy;

/**
 * Decodes the encoded words of RFC 2047 in a text, wherever they stand (also inside quoted strings and words, where
 * the RFC forbids them and mail has them). The bytes of neighbours with the same charset are joined before they
 * are decoded, because senders cut characters in two. Linear in the length of the text.
 */
export function decodeWords(text: string, defects: Defects): string {
  if (!text.includes('=?')) return text;
  let result = '';
  let plainFrom = 0;
  let search = 0;
  let run: { charset: string; bytes: Buffer[] } | undefined;
  const flush = () => {
    if (run) result += decodeCharset(Buffer.concat(run.bytes), run.charset, defects);
    run = undefined;
  };
  for (;;) {
    const start = text.indexOf('=?', search);
    if (start < 0) break;
    opening.lastIndex = start;
    const match = opening.exec(text);
    if (!match) {
      search = start + 2;
      continue;
    }
    const payloadStart = opening.lastIndex;
    const payloadEnd = text.indexOf('?=', payloadStart);
    if (payloadEnd < 0) break;
    const [, charset = '', encoding] = match;
    const between = text.slice(plainFrom, start);
    // White space between two encoded words is no part of the text (RFC 2047 section 6.2).
    if (run === undefined || between.trim() !== '') {
      flush();
      result += between;
    } else if (run.charset !== charset.toLowerCase()) {
      flush();
    }
    const payload = text.slice(payloadStart, payloadEnd);
    run ??= { charset: charset.toLowerCase(), bytes: [] };
    run.bytes.push(encoding === 'b' || encoding === 'B' ? decodeB(payload) : decodeQ(payload));
    search = payloadEnd + 2;
    plainFrom = search;
  }
  flush();
  return result + text.slice(plainFrom);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole ASCII range is meant.
const ascii = /^[\x00-\x7f]*$/;

/**
 * A raw header field, one byte a character, with the 8-bit bytes inside encoded words escaped, as their senders should
 * have done. They are of the charset of the word, or UTF-8 where only that fits. Linear in the length of the field.
 */
export function escapeRawWords(raw: string): string {
  if (ascii.test(raw) || !raw.includes('=?')) return raw;
  let result = '';
  let from = 0;
  for (let start = raw.indexOf('=?'); start >= 0; ) {
    opening.lastIndex = start;
    const match = opening.exec(raw);
    const payloadStart = opening.lastIndex;
    const payloadEnd = match ? raw.indexOf('?=', payloadStart) : -1;
    if (match && payloadEnd < 0) break;
    if (match) {
      const [, charset = '', encoding = ''] = match;
      const payload = raw.slice(payloadStart, payloadEnd);
      if (encoding.toLowerCase() === 'q' && !ascii.test(payload)) {
        result += raw.slice(from, start) + escapePayload(payload, charset);
        from = payloadEnd + 2;
      }
    }
    start = raw.indexOf('=?', match ? payloadEnd + 2 : start + 2);
  }
  return result + raw.slice(from);
}

function escapePayload(payload: string, charset: string): string {
  const word = (name: string, text: string) => (text === '' ? [] : [`=?${name}?Q?${escapeBytes(text)}?=`]);
  const own = charsetName(charset);
  const runs = payload.match(/[\x80-\xff]+/g) ?? [];
  const rawUtf8 = own !== 'utf-8' && runs.every((run) => isUtf8(Buffer.from(run, 'latin1'), false));
  const fits = own !== undefined && isText(decodeQ(escapeBytes(payload)), own);
  const oneByte = own === undefined || /^(?:iso-8859|windows-125|koi8|latin)/.test(own);
  if (fits && !(rawUtf8 && oneByte)) return `=?${charset}?Q?${escapeBytes(payload)}?=`;
  // Neighbouring words are joined without the blank between them.
  const other = rawUtf8 ? 'utf-8' : 'windows-1252';
  return payload
    .split(/([\x80-\xff]+)/)
    .flatMap((text, index) => word(index % 2 === 1 ? other : charset, text))
    .join(' ');
}

function escapeBytes(text: string): string {
  return text.replace(/[\x80-\xff]/g, (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeB(payload: string): Buffer {
  // What is wrong inside an encoded word shows in the text; it is no defect of the body.
  const decoder = new Base64Decoder(() => {});
  return Buffer.concat([decoder.write(Buffer.from(payload, 'utf8')), decoder.end()]);
}

function decodeQ(payload: string): Buffer {
  const bytes = Buffer.from(payload, 'utf8');
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const hex = byte === 0x3d ? payloadHex(bytes, at + 1) : -1;
    if (hex >= 0) {
      bytes[length++] = hex;
      at += 2;
    } else {
      bytes[length++] = byte === 0x5f ? 0x20 : byte;
    }
  }
  return bytes.subarray(0, length);
}

function payloadHex(bytes: Buffer, at: number): number {
  const pair = bytes.toString('latin1', at, at + 2);
  return /^[0-9a-f]{2}$/i.test(pair) ? Number.parseInt(pair, 16) : -1;
}
