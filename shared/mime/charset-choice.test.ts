import iconv from 'iconv-lite';
import { describe, expect, test } from 'vitest';
import { charsetDecoder } from './charsets.ts';
import { collect, head, lines } from './collect.test-support.ts';
import { detectCharset } from './detect-charset.ts';
import type { Defects } from './mail.ts';

function read(bytes: Buffer, charset?: string, html = false) {
  const results = [1, 3, 1_000_000].map((size) => {
    const defects: Defects = new Set();
    const decoder = charsetDecoder(charset, defects, { html });
    let text = '';
    for (let at = 0; at < bytes.length; at += size) text += decoder.write(bytes.subarray(at, at + size));
    return { text: text + decoder.end(), defects: [...defects] };
  });
  for (const other of results) expect(other).toEqual(results[0]);
  return results[0];
}

const texts = {
  japanese: 'お世話になっております。ファイルを添付しましたので、ご確認をお願いいたします。',
  chinese: '您好，附件是我们公司的报价单，请您查收。谢谢！如果有什么问题，请与我联系。',
  taiwanese: '您好，附件是我們公司的報價單，請您查收。謝謝！如果有什麼問題，請與我聯絡。',
  korean: '안녕하세요. 첨부한 파일을 확인해 주시기 바랍니다. 감사합니다.',
  russian: 'Здравствуйте! Высылаю вам файл, о котором мы говорили вчера. Спасибо.',
  german: 'Schöne Grüße aus Köln, die Übersicht hängt an. Viele Grüße, Jörg Müßig',
  french: 'Été déjà très froid à Noël, ça m’a gêné – où êtes-vous ? Août, cœur, naïf.',
  greek: 'Καλημέρα σας, σας στέλνω το αρχείο που ζητήσατε χθες. Ευχαριστώ πολύ.',
};

test.each([
  // Of Microsoft's extension of KS X 1001, and of Hong Kong: bytes and text are of Python's codecs.
  ['ks_c_5601-1987', 'bec8b3e7208c63b9e6b0a2c7cf20c652b0dc', '안녕 똠방각하 힣겨'],
  ['euc-kr', '8c63', '똠'],
  ['cp949', '8141c652', '갂힣'],
  ['big5-hkscs', 'adbbb4e49dee9df89dcf209df6abd7', '香港㗎啲嘢 喺度'],
  ['big5', 'adbbb4e48740', '香港䏰'],
])('%s has all of its characters', (charset, hex, text) => {
  expect(read(Buffer.from(hex, 'hex'), charset)).toEqual({ text, defects: [] });
});

test.each([
  ['euc-kr', 'b0a1ff', '가\ufffd'],
  ['big5', 'a440ff', '一\ufffd'],
  ['euc-kr', 'b0a1b0', '가\ufffd'],
])('%s says what it lacks', (charset, hex, text) => {
  expect(read(Buffer.from(hex, 'hex'), charset)).toEqual({ text, defects: ['undecodable-text'] });
});

test.each([
  ['x-windows-949', 'bec8', '안'],
  ['x-ms-cp932', '8365', 'テ'],
  ['cswindows31j', '8365', 'テ'],
  ['x-euc-cn', 'c4e3', '你'],
  ['big5-eten', 'a741', '你'],
  ['ucs-2le', '604f', '你'],
  ['utf-8-sig', 'e4bda0', '你'],
  ['ansi', 'e9', 'é'],
  ['3Diso-8859-1', 'e9', 'é'],
  ['charset=windows-1251', 'e9', 'й'],
])('%s is known', (charset, hex, text) => {
  expect(read(Buffer.from(hex, 'hex'), charset)).toEqual({ text, defects: [] });
});

describe('a text that declares nothing', () => {
  test.each([
    ['shift_jis', texts.japanese],
    ['euc-jp', texts.japanese],
    ['gb18030', texts.chinese],
    ['big5', texts.taiwanese],
    ['euc-kr', texts.korean],
    ['utf-8', texts.japanese],
    ['utf-8', texts.german],
    ['windows-1252', texts.german],
    ['windows-1252', texts.french],
  ])('%s', (charset, text) => {
    const bytes = iconv.encode(text, charset);
    for (const declared of [undefined, 'us-ascii', 'unknown-8bit', '8bit']) {
      const defects = charset === 'utf-8' ? [] : ['undeclared-charset'];
      expect(read(bytes, declared)).toEqual({ text, defects });
    }
    const framed = Buffer.concat([Buffer.from('Hello,\r\n\r\n'), bytes, Buffer.from('\r\n-- \r\nBob\r\n')]);
    expect(read(framed)?.text).toBe(`Hello,\r\n\r\n${text}\r\n-- \r\nBob\r\n`);
  });

  test('ISO-2022-JP gives itself away', () => {
    expect(read(Buffer.from('a \x1b$B%F%9%H\x1b(B b', 'latin1'))?.text).toBe('a テスト b');
    expect(read(Buffer.from('\x1b[1mbold\x1b[0m caf\xe9', 'latin1'))?.text).toBe('\x1b[1mbold\x1b[0m café');
  });

  test('what is not certain is not guessed', () => {
    for (const text of [texts.german, texts.french, 'é', 'Ü', 'ÄÖÜ äöü', 'naïve café']) {
      expect(detectCharset(iconv.encode(text, 'windows-1252'), true)).toBeUndefined();
    }
    for (const charset of ['windows-1251', 'koi8-r', 'iso-8859-5', 'cp866']) {
      expect([charset, detectCharset(iconv.encode(texts.russian, charset), true)]).toEqual([charset, undefined]);
    }
    for (const charset of ['windows-1253', 'iso-8859-7']) {
      expect(detectCharset(iconv.encode(texts.greek, charset), true)).toBeUndefined();
    }
    expect(detectCharset(Buffer.from('93fa967b8cea', 'hex'), true)).toBeUndefined();
  });

  test('UTF-16 without a name, but with a mark or a pattern', () => {
    const little = Buffer.from('Grüße aus Köln', 'utf16le');
    const marked = Buffer.concat([Buffer.from([0xff, 0xfe]), little]);
    expect(collectText(marked)).toBe('Grüße aus Köln');
    expect(collectText(little)).toBe('Grüße aus Köln');
    expect(collectText(Buffer.from(little).swap16())).toBe('Grüße aus Köln');
  });
});

function collectText(bytes: Buffer): string {
  const decoder = charsetDecoder(undefined, new Set());
  return decoder.write(bytes) + decoder.end();
}

describe('a text that is not what it declares', () => {
  test.each([
    ['iso-2022-jp', 'utf-8', texts.japanese],
    ['iso-2022-jp', 'euc-jp', texts.japanese],
    ['iso-2022-jp', 'shift_jis', texts.japanese],
    ['iso-2022-jp', 'euc-jp', '日本語'],
    ['shift_jis', 'utf-8', texts.japanese],
    ['euc-jp', 'utf-8', texts.japanese],
    ['euc-jp', 'shift_jis', texts.japanese],
    ['gb2312', 'utf-8', texts.chinese],
    ['euc-kr', 'utf-8', texts.korean],
    ['utf-8', 'shift_jis', texts.japanese],
    ['utf-8', 'gb18030', texts.chinese],
    ['utf-8', 'big5', texts.taiwanese],
    ['utf-8', 'windows-1252', texts.german],
    ['utf-8', 'windows-1252', texts.french],
    ['utf-7', 'utf-8', texts.german],
    ['utf-16', 'utf-8', 'plain words and no more'],
  ])('declared %s, is %s', (declared, is, text) => {
    expect(read(iconv.encode(text, is), declared)).toEqual({ text, defects: ['wrong-charset'] });
  });

  test('declared Shift_JIS or UTF-8, is ISO-2022-JP', () => {
    for (const declared of ['shift_jis', 'euc-jp', 'utf-8']) {
      expect(read(Buffer.from('\x1b$B%F%9%H\x1b(B', 'latin1'), declared)?.text).toBe('テスト');
    }
  });

  test('what fits is believed', () => {
    expect(read(iconv.encode('Ã¼ber', 'windows-1252'), 'iso-8859-1')).toEqual({ text: 'Ã¼ber', defects: [] });
    expect(read(iconv.encode(texts.japanese, 'shift_jis'), 'cp932')).toEqual({ text: texts.japanese, defects: [] });
    expect(read(iconv.encode('a\x1b(Bb', 'latin1'), 'iso-2022-jp')?.text).toBe('ab');
  });

  test('a byte order mark is believed before any name', () => {
    const mark = Buffer.from([0xef, 0xbb, 0xbf]);
    expect(read(Buffer.concat([mark, Buffer.from('Grüße')]), 'iso-8859-1')?.text).toBe('Grüße');
    const big = Buffer.from('Grüße', 'utf16le').swap16();
    const little = Buffer.from('Grüße', 'utf16le');
    for (const name of ['utf-16', 'utf-16le', 'utf-16be', 'unicode', 'UTF16', 'utf-8']) {
      expect(read(Buffer.concat([Buffer.from([0xfe, 0xff]), big]), name)?.text).toBe('Grüße');
      expect(read(Buffer.concat([Buffer.from([0xff, 0xfe]), little]), name)?.text).toBe('Grüße');
    }
  });

  test('UTF-16 without a mark', () => {
    const little = Buffer.from('Hello 日本', 'utf16le');
    for (const name of ['utf-16', 'unicode', 'csUnicode', 'iso-10646-ucs-2']) {
      expect(read(little, name)?.text).toBe('Hello 日本');
      expect(read(Buffer.from(little).swap16(), name)?.text).toBe('Hello 日本');
    }
    expect(read(little, 'utf-16le')?.text).toBe('Hello 日本');
    expect(read(Buffer.from(little).swap16(), 'utf-16be')?.text).toBe('Hello 日本');
    // Without any ASCII sign: RFC 2781 section 4.3.
    expect(read(Buffer.from('日本語', 'utf16le').swap16(), 'utf-16')?.text).toBe('日本語');
  });
});

describe('UTF-7 (RFC 2152)', () => {
  test.each([
    ['Hi Mom -+Jjo--!', 'Hi Mom -☺-!'],
    ['A+ImIDkQ.', 'A≢Α.'],
    ['+ZeVnLIqe-', '日本語'],
    ['1 +- 1 = 2', '1 + 1 = 2'],
    ['+2D3eAA-', '😀'],
    ['Gr+APwA3w-e', 'Grüße'],
    ['+APw', 'ü'],
    ['', ''],
  ])('%s', (text, expected) => {
    for (const name of ['utf-7', 'unicode-1-1-utf-7', 'UTF7', 'csUnicode11UTF7', 'x-unicode-2-0-utf-7']) {
      expect(read(Buffer.from(text), name)).toEqual({ text: expected, defects: [] });
    }
  });

  test('what is broken is reported', () => {
    expect(read(Buffer.from('a +! b'), 'utf-7')).toEqual({ text: 'a +! b', defects: ['undecodable-text'] });
  });
});

describe('HTML that declares its charset itself', () => {
  const page = (meta: string, text: string, charset: string) =>
    Buffer.concat([
      Buffer.from(`<html><head>${meta}</head><body>`),
      iconv.encode(text, charset),
      Buffer.from('</body></html>'),
    ]);

  test.each([
    ['<meta charset="windows-1251">', 'windows-1251', texts.russian],
    ['<META CHARSET=koi8-r>', 'koi8-r', texts.russian],
    ["<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-7'>", 'iso-8859-7', texts.greek],
    ['<meta content="text/html;charset=shift_jis" http-equiv=content-type/>', 'shift_jis', '日本語'],
    ['<meta name="x" content="y"><meta charset = "euc-kr" >', 'euc-kr', '안녕'],
    [`<style>${'p { color: red } '.repeat(100)}</style><meta charset=windows-1251>`, 'windows-1251', texts.russian],
    ['<meta charset="windows-1251">', 'utf-8', texts.russian],
    ['<meta charset="utf-16">', 'utf-8', texts.german],
    ['', 'utf-8', texts.german],
    ['', 'windows-1252', texts.german],
    ['', 'gb18030', texts.chinese],
  ])('%s %s', (meta, charset, text) => {
    const bytes = page(meta, text, charset);
    for (const declared of [undefined, 'us-ascii'])
      expect(read(bytes, declared, true)?.text).toContain(`<body>${text}</body>`);
  });

  test('an XML declaration, a long page, and a charset that the header declares', () => {
    const xml = Buffer.concat([
      Buffer.from('<?xml version="1.0" encoding="windows-1251"?><html>'),
      iconv.encode('Привет', 'windows-1251'),
    ]);
    expect(read(xml, undefined, true)?.text).toContain('Привет');
    const long = page('', `${'x'.repeat(10_000)}${texts.german}`, 'windows-1252');
    expect(read(long, undefined, true)?.text).toContain(texts.german);
    expect(read(page('<meta charset="utf-8">', texts.russian, 'koi8-r'), 'koi8-r', true)?.text).toContain(
      texts.russian,
    );
  });

  test('in a mail; and a plain text declares nothing', async () => {
    const body = page('<meta charset="windows-1251">', 'Привет', 'windows-1251');
    const mail = (type: string) => Buffer.concat([Buffer.from(lines(head, `Content-Type: ${type}`, '', '')), body]);
    expect((await collect(mail('text/html'))).mail.html).toContain('Привет');
    expect((await collect(mail('text/plain'))).mail.text).toContain('Ïðèâåò');
  });
});
