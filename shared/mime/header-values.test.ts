import { describe, expect, test } from 'vitest';
import { readAddresses } from './addresses.ts';
import { charsetDecoder, decodeRawHeader } from './charsets.ts';
import { decodeWords } from './encoded-words.ts';
import type { Defects } from './mail.ts';

const words = (text: string) => decodeWords(text, new Set());

describe('encoded words (RFC 2047)', () => {
  test.each([
    ['=?UTF-8?Q?Gr=C3=BC=C3=9Fe_an?= alle', 'Grüße an alle'],
    ['=?utf-8?b?w7w=?= =?utf-8?b?w58=?=', 'üß'],
    ['=?utf-8?b?w7w=?= x =?utf-8?b?w58=?=', 'ü x ß'],
    ['=?UTF-8?Q?=F0=9F?= =?UTF-8?Q?=98=80?=', '😀'],
    ['=?iso-8859-1*de?Q?=FC?=', 'ü'],
    ['=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?= =?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=', 'テストテスト'],
    ['=?ks_c_5601-1987?B?vsiz5w==?=', '안녕'],
    ['=?gb2312?B?xOO6ww==?=', '你好'],
    ['=?GB18030?B?lDnaMw==?=', '💩'],
    ['"=?utf-8?Q?in_quotes?="', '"in quotes"'],
    ['=?utf-8?Q?what??=', 'what?'],
    ['=?utf-8?Q?broken', '=?utf-8?Q?broken'],
    ['=?utf-8?X?abc?=', '=?utf-8?X?abc?='],
    ['=?x-unknown?Q?caf=E9?=', 'café'],
    ['plain', 'plain'],
  ])('%s', (text, expected) => {
    expect(words(text)).toBe(expected);
  });

  test('a character cut into two base64 words is whole again', () => {
    const bytes = Buffer.from('😀');
    const word = (part: Buffer) => `=?utf-8?B?${part.toString('base64')}?=`;
    expect(words(`${word(bytes.subarray(0, 2))}\t ${word(bytes.subarray(2))}`)).toBe('😀');
  });

  test.each(['=?', '=?a?q?', '=?a?q?x', '=?a?q?x?= '])(
    'a field of nothing but %j takes no time',
    { timeout: 90_000 },
    (piece) => {
      expect(words(piece.repeat((256 * 1024) / piece.length))).toBeTypeOf('string');
    },
  );
});

describe('charsets', () => {
  const read = (bytes: Buffer, charset: string | undefined, size = 1) => {
    const defects: Defects = new Set();
    const decoder = charsetDecoder(charset, defects);
    let text = '';
    for (let at = 0; at < bytes.length; at += size) text += decoder.write(bytes.subarray(at, at + size));
    return { text: text + decoder.end(), defects: [...defects] };
  };

  test.each([
    ['utf-8', Buffer.from('aü😀'), 'aü😀'],
    ['"UTF-8"; x', Buffer.from('ü'), 'ü'],
    ['iso-8859-1', Buffer.from([0x80, 0xe9]), '€é'],
    ['gb18030', Buffer.from([0x94, 0x39, 0xda, 0x33, 0x20, 0xc4, 0xe3]), '💩 你'],
    ['ks_c_5601-1987', Buffer.from([0xbe, 0xc8, 0xb3, 0xe7]), '안녕'],
    ['shift_jis', Buffer.from([0x83, 0x65]), 'テ'],
    ['iso-2022-jp', Buffer.from('a\x1b$B%F\x1b(B\x1b$B%9\x1b(Bb', 'latin1'), 'aテスb'],
    ['utf-16le', Buffer.from('a😀', 'utf16le'), 'a😀'],
    ['ibm437', Buffer.from([0x81]), 'ü'],
  ])('%s, byte by byte', (charset, bytes, expected) => {
    expect(read(bytes, charset)).toEqual({ text: expected, defects: [] });
    expect(read(bytes, charset, 1_000).text).toBe(expected);
  });

  test('no charset: UTF-8 where it is, else windows-1252', () => {
    expect(read(Buffer.from('caf\u00e9', 'latin1'), 'us-ascii')).toEqual({
      text: 'café',
      defects: ['undeclared-charset'],
    });
    expect(read(Buffer.from('naïve'), undefined, 100).text).toBe('naïve');
    expect(read(Buffer.from([0x6e, 0x61, 0xef, 0x76, 0x65]), undefined, 100).text).toBe('naïve');
  });

  test('an unknown charset is reported and read all the same', () => {
    expect(read(Buffer.from([0xe9]), 'x-klingon')).toEqual({ text: 'é', defects: ['unknown-charset'] });
    expect(read(Buffer.from('YQ=='), 'base64').defects).toEqual(['unknown-charset']);
  });

  test('invalid UTF-8 becomes U+FFFD and is reported', () => {
    expect(read(Buffer.from([0x61, 0xff, 0x62]), 'utf-8')).toEqual({ text: 'a\ufffdb', defects: ['undecodable-text'] });
  });

  test('trap 25: raw 8-bit header fields', () => {
    const decode = (raw: string) => {
      const defects: Defects = new Set();
      return [decodeRawHeader(raw, undefined, defects), ...defects];
    };
    expect(decode(Buffer.from('Grüße').toString('latin1'))).toEqual(['Grüße']);
    expect(decode('caf\u00e9')).toEqual(['café', 'undeclared-charset']);
    expect(decode('\x1b$B%F%9%H\x1b(B')).toEqual(['テスト']);
  });
});

describe('addresses', () => {
  const read = (...fields: string[]) => readAddresses(fields, 1_000, new Set());

  test.each([
    ['a@b.example', [['', 'a@b.example']]],
    [
      '"Doe, John" <j@b.example>, x@y.example',
      [
        ['Doe, John', 'j@b.example'],
        ['', 'x@y.example'],
      ],
    ],
    ['=?utf-8?Q?J=C3=BCrgen?= <j@b.example>', [['Jürgen', 'j@b.example']]],
    ['=?utf-8?Q?Doe,_John?= <j@b.example>', [['Doe, John', 'j@b.example']]],
    ['=?utf-8?B?RG9lLCBKb2hu?= <j@b.example>', [['Doe, John', 'j@b.example']]],
    [
      'Team: a@b.example, c@d.example;',
      [
        ['', 'a@b.example'],
        ['', 'c@d.example'],
      ],
    ],
    ['undisclosed-recipients:;', []],
    ['j@b.example (John)', [['John', 'j@b.example']]],
    ['nobody', [['nobody', '']]],
    ['ann@b.example>', [['', 'ann@b.example']]],
    ['Ann <ann@b.example', [['Ann', 'ann@b.example']]],
    ['', []],
  ])('%s', (field, expected) => {
    expect(read(field).map(({ name, address }) => [name, address])).toEqual(expected);
  });

  test('repeated fields add up', () => {
    expect(read('a@b.example', 'c@d.example')).toHaveLength(2);
  });

  test('commas without end take no time', { timeout: 90_000 }, () => {
    const defects: Defects = new Set();
    expect(readAddresses([`a${',a'.repeat(130_000)}`], 1_000, defects)).toHaveLength(1_000);
    expect(defects).toContain('too-many-addresses');
  });
});
