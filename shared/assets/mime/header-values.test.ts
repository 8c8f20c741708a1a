import { describe, expect, test } from 'vitest';
import { readAddresses } from './addresses.ts';
import { charsetDecoder, decodeRawHeader } from './charsets.ts';
import { readDate } from './dates.ts';
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

  test.each(['=?', '=?a?q?', '=?a?q?x', '=?a?q?x?= '])('a field of nothing but %j takes no time', (piece) => {
    const started = performance.now();
    words(piece.repeat((256 * 1024) / piece.length));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
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
    ['us-ascii', Buffer.from('caf\u00e9', 'latin1'), 'café'],
  ])('%s, byte by byte', (charset, bytes, expected) => {
    expect(read(bytes, charset)).toEqual({ text: expected, defects: [] });
    expect(read(bytes, charset, 1_000).text).toBe(expected);
  });

  test('no charset: UTF-8 where it is, else windows-1252', () => {
    expect(read(Buffer.from('naïve'), undefined, 100).text).toBe('naïve');
    expect(read(Buffer.from([0x6e, 0x61, 0xef, 0x76, 0x65]), undefined, 100).text).toBe('naïve');
  });

  test('an unknown charset is told and read all the same', () => {
    expect(read(Buffer.from([0xe9]), 'x-klingon')).toEqual({ text: 'é', defects: ['unknown-charset'] });
    expect(read(Buffer.from('YQ=='), 'base64').defects).toEqual(['unknown-charset']);
    expect(read(Buffer.from('+ADw-b'), 'utf-7')).toEqual({ text: '+ADw-b', defects: ['unknown-charset'] });
  });

  test('invalid UTF-8 becomes U+FFFD and is told', () => {
    expect(read(Buffer.from([0x61, 0xff, 0x62]), 'utf-8')).toEqual({ text: 'a\ufffdb', defects: ['undecodable-text'] });
  });

  test('trap 25: raw 8-bit header fields', () => {
    expect(decodeRawHeader(Buffer.from('Grüße').toString('latin1'))).toBe('Grüße');
    expect(decodeRawHeader('caf\u00e9')).toBe('café');
    expect(decodeRawHeader('\x1b$B%F%9%H\x1b(B')).toBe('テスト');
  });
});

describe('dates', () => {
  test.each([
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21T15:55:06.000Z'],
    ['21 Nov 97 09:55:06 GMT', '1997-11-21T09:55:06.000Z'],
    ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', '1997-11-21T15:55:06.000Z'],
    ['Mon, 2 Jan 2006 15:04 EST', '2006-01-02T20:04:00.000Z'],
    ['Mon, 2 Jan 2006 15:04:05', '2006-01-02T15:04:05.000Z'],
    ['Mon, 2 Jan 2006 15:04:05 +0000 (UTC)', '2006-01-02T15:04:05.000Z'],
    ['Mon, 2 Jan 2006 15:04:05 GMT+0200', '2006-01-02T13:04:05.000Z'],
    ['2 January 2006 3:04:05 PM', '2006-01-02T15:04:05.000Z'],
    ['Mon Jan  2 15:04:05 2006', '2006-01-02T15:04:05.000Z'],
    ['Mon Jan  2 15:04:05 CET 2006', '2006-01-02T14:04:05.000Z'],
    ['2006-01-02T15:04:05+01:00', '2006-01-02T14:04:05.000Z'],
    ['2006-01-02 15:04:05', '2006-01-02T15:04:05.000Z'],
    ['Sat, 31 Dec 2016 23:59:60 +0000', '2016-12-31T23:59:59.000Z'],
    ['Mon, 2 Jan 2006 15:04:05 +9900', '2006-01-02T15:04:05.000Z'],
  ])('%s', (field, expected) => {
    expect(readDate(field)).toBe(expected);
  });

  test.each(['', 'yesterday', '%date%', '31 Feb 2020 10:00:00 +0000', '2 Jan 2006 25:00:00', '9'.repeat(100_000)])(
    'no date: %.40s',
    (field) => {
      expect(readDate(field)).toBeUndefined();
    },
  );
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
    ['', []],
  ])('%s', (field, expected) => {
    expect(read(field).map(({ name, address }) => [name, address])).toEqual(expected);
  });

  test('repeated fields add up', () => {
    expect(read('a@b.example', 'c@d.example')).toHaveLength(2);
  });

  test('commas without end take no time', () => {
    const started = performance.now();
    const defects: Defects = new Set();
    expect(readAddresses([`a${',a'.repeat(130_000)}`], 1_000, defects)).toHaveLength(1_000);
    expect(defects).toContain('too-many-addresses');
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
