import iconv from 'iconv-lite';
import { mail, type TortureMail } from './torture-mail.ts';

/** Encodings of the WHATWG Encoding Standard with one byte a character. */
const singleBytes = [
  ...['ibm866', 'koi8-r', 'koi8-u', 'macintosh', 'x-mac-cyrillic', 'windows-874'],
  ...['1250', '1251', '1252', '1253', '1254', '1255', '1256', '1257', '1258'].map((page) => `windows-${page}`),
  ...['2', '3', '4', '5', '6', '7', '8', '8-i', '10', '13', '14', '15', '16'].map((part) => `iso-8859-${part}`),
];

/** The others, each with a text that it has. */
const multiBytes: readonly (readonly [name: string, text: string])[] = [
  ['utf-8', 'Grüße, Привет, 日本語, 😀'],
  ['gbk', '你好，这是一封中文邮件。'],
  ['gb18030', '你好，这是一封中文邮件。'],
  ['big5', '您好，這是一封中文郵件。'],
  ['euc-jp', 'このメールは日本語です。'],
  ['shift_jis', 'このメールは日本語です。'],
  ['euc-kr', '이 메일은 한국어입니다.'],
];

/** ISO-2022-JP has shifts, which iconv-lite does not write. */
const iso2022Jp = [Buffer.from('\x1b$B$3$N%a!<%k\x1b(B', 'latin1'), 'このメール'] as const;

/** What the runtime's own decoder makes of letters of the upper half: nobody's opinion but the standard's. */
function sampleOf(charset: string): readonly [bytes: Buffer, text: string] {
  const decoder = new TextDecoder(charset);
  const letters: number[] = [];
  for (let byte = 0xff; byte >= 0x80 && letters.length < 12; byte -= 3) {
    if (/^\p{L}$/u.test(decoder.decode(Buffer.from([byte])))) letters.push(byte);
  }
  const bytes = Buffer.from(letters.flatMap((letter) => [letter, letter, 0x20]));
  return [bytes, decoder.decode(bytes)];
}

function quotedPrintable(bytes: Buffer): string {
  return [...bytes]
    .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
    .replace(/.{60}/g, '$&=\r\n');
}

const percent = (bytes: Buffer) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/** Each charset in each transfer encoding, in the subject, and in a file name. */
export function* charsetMails(): Generator<TortureMail> {
  const samples = [
    ...singleBytes.map((name) => [name, ...sampleOf(name)] as const),
    ...multiBytes.map(([name, text]) => [name, iconv.encode(text, name), text] as const),
    ['iso-2022-jp', ...iso2022Jp] as const,
  ];
  for (const [charset, bytes, text] of samples) {
    const type = `Content-Type: text/plain; charset=${charset}`;
    const shown = expectText(text);
    yield mail(`charset-${charset}-8bit`, [type, 'Content-Transfer-Encoding: 8bit', '', bytes], shown);
    yield mail(
      `charset-${charset}-base64`,
      [type, 'Content-Transfer-Encoding: base64', '', bytes.toString('base64')],
      shown,
    );
    yield mail(
      `charset-${charset}-quoted-printable`,
      [type, 'Content-Transfer-Encoding: quoted-printable', '', quotedPrintable(bytes)],
      shown,
    );
    yield mail(
      `charset-${charset}-subject`,
      [`Subject: =?${charset}?B?${bytes.toString('base64')}?=`, '', 'x'],
      { outcome: 'imported', subject: text.trim() },
      { subject: false },
    );
    yield mail(
      `charset-${charset}-file-name`,
      [
        'Content-Type: application/pdf',
        `Content-Disposition: attachment; filename*=${charset}''${percent(bytes)}.pdf`,
        '',
        'x',
      ],
      { outcome: 'imported', filename: `${text}.pdf` },
    );
  }
  for (const charset of ['utf-16le', 'utf-16be']) {
    const bytes = iconv.encode('Grüße, 日本語', charset);
    const type = `Content-Type: text/plain; charset=${charset}`;
    yield mail(
      `charset-${charset}`,
      [type, 'Content-Transfer-Encoding: base64', '', bytes.toString('base64')],
      expectText('Grüße, 日本語'),
    );
  }
  for (const charset of [
    'replacement',
    'x-user-defined',
    'iso-2022-kr',
    'hz-gb-2312',
    'utf-7',
    'x-klingon',
    '"',
    'utf-8; utf-8',
  ]) {
    yield mail(
      `charset-odd-${charset.replace(/\W/g, '_')}`,
      [`Content-Type: text/plain; charset=${charset}`, '', Buffer.from('a\xe9b', 'latin1')],
      {
        outcome: 'imported',
      },
    );
  }
}

function expectText(text: string) {
  return { outcome: 'imported', text: text.trimEnd() } as const;
}
