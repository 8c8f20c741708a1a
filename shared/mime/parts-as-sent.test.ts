import { describe, expect, test } from 'vitest';
import { collect, head, lines } from './collect.test-support.ts';
import type { Defects } from './mail.ts';
import { transferDecoder } from './transfer-encoding.ts';

const part = (...fields: readonly string[]) =>
  collect(lines(head, 'Content-Type: multipart/mixed; boundary=b', '', '--b', ...fields, '', 'QUJD', '--b--'));

describe('types that are none', () => {
  test.each([
    ['application-x-gzip; name="a.gz"', 'application/x-gzip'],
    ['pdf; name=a.pdf', 'application/pdf'],
    ['application/; name=a.pdf', 'application/pdf'],
    ['/pdf; name=a.pdf', 'application/pdf'],
    ['image; name=a.png', 'image/png'],
    ['unknown; name=notes.txt', 'application/octet-stream'],
    ['application', 'application/octet-stream'],
    ['image/', 'application/octet-stream'],
    ['x-foo; name=a', 'application/octet-stream'],
  ])('%s is an attachment', async (type, contentType) => {
    const { mail } = await part(`Content-Type: ${type}`);
    expect(mail.text).toBeUndefined();
    expect(mail.attachments).toMatchObject([{ contentType, size: 4 }]);
    expect(mail.defects).toContain('invalid-content-type');
  });

  test.each(['text', 'plain', 'text; charset=utf-8', 'nonsense', '???'])('%s is text', async (type) => {
    const { mail } = await part(`Content-Type: ${type}`);
    expect([mail.text, mail.attachments]).toEqual(['QUJD', []]);
  });
});

describe('dispositions', () => {
  test.each(['=?utf-8?Q?invalid?=', '; x=y'])('%s is none: the text is the body', async (value) => {
    const { mail } = await part('Content-Type: text/html', `Content-Disposition: ${value}`);
    expect([mail.html, mail.attachments]).toEqual(['QUJD', []]);
  });

  test.each(['attachment filename=a.html', 'x-unknown', 'Attachment;', '"attachment"'])(
    '%s is an attachment',
    async (value) => {
      const { mail } = await part('Content-Type: text/html', `Content-Disposition: ${value}`);
      expect([mail.html, mail.attachments.length]).toEqual([undefined, 1]);
    },
  );
});

describe('paths of Windows in file names', () => {
  test.each([
    ['filename="C:\\temp\\a.pdf"', 'a.pdf'],
    ['filename="C:\\\\temp\\\\a.pdf"', 'a.pdf'],
    ['filename=C:\\temp\\a.pdf', 'a.pdf'],
    ['filename="d:/temp/a b.pdf"', 'a b.pdf'],
    ['filename="C:\\temp/mixed\\a.pdf"', 'a.pdf'],
    ['filename="\\\\server\\share\\Ünïcode.pdf"', 'Ünïcode.pdf'],
    ["filename*=utf-8''C%3A%5Ctemp%5C%C3%BC.pdf", 'ü.pdf'],
    ['filename="=?utf-8?Q?C:=5Ctemp=5C=C3=BC.pdf?="', 'ü.pdf'],
    ['filename="a\\"b.pdf"', 'a"b.pdf'],
    ['filename="dir/a.pdf"', 'dir/a.pdf'],
    ['filename="../../x"', '../../x'],
    ['filename="/etc/passwd"', '/etc/passwd'],
    ['filename="C:"', 'C:'],
    ['filename="AC:\\x.pdf"', 'AC:x.pdf'],
  ])('%s', async (parameter, expected) => {
    const { mail } = await part(`Content-Disposition: attachment; ${parameter}`);
    expect(mail.attachments).toMatchObject([{ filename: expected }]);
    const named = await part(`Content-Type: application/pdf; ${parameter.replace('filename', 'name')}`);
    expect(named.mail.attachments).toMatchObject([{ filename: expected }]);
  });
});

describe('S/MIME that does not say what it is', () => {
  const oid = (last: string) => Buffer.from(`308006092a864886f70d01${last}a080`, 'hex').toString('base64');
  const long = (last: string) => Buffer.from(`3082100006092a864886f70d01${last}a0821000`, 'hex').toString('base64');

  test.each([
    ['signed data', '0702', 'signed'],
    ['enveloped data', '0703', 'encrypted'],
    ['encrypted data', '0706', 'encrypted'],
    ['authenticated and enveloped data', '09100117', 'encrypted'],
    ['compressed data', '09100109', undefined],
  ])('%s', async (_name, last, flag) => {
    for (const content of [oid(last), long(last)]) {
      for (const type of [
        'application/pkcs7-mime; name=smime.p7m',
        'application/x-pkcs7-mime',
        'application/octet-stream; name="x.p7m"',
      ]) {
        const { mail } = await collect(
          lines(head, `Content-Type: ${type}`, 'Content-Transfer-Encoding: base64', '', content),
        );
        expect(mail.flags).toMatchObject({ signed: flag === 'signed', encrypted: flag === 'encrypted' });
        expect(mail.attachments).toHaveLength(1);
      }
    }
  });

  test('in PEM, or in base64 that nobody declared', async () => {
    for (const body of [oid('0702'), `-----BEGIN PKCS7-----\r\n${oid('0702')}\r\n-----END PKCS7-----`]) {
      const { mail } = await collect(lines(head, 'Content-Type: application/pkcs7-mime', '', body));
      expect(mail.flags).toMatchObject({ signed: true, encrypted: false });
    }
  });

  test('what it says counts before what it holds', async () => {
    const { mail } = await collect(
      lines(
        head,
        'Content-Type: application/pkcs7-mime; smime-type=enveloped-data',
        'Content-Transfer-Encoding: base64',
        '',
        oid('0702'),
      ),
    );
    expect(mail.flags).toMatchObject({ signed: false, encrypted: true });
  });
});

describe('base64 with text behind it', () => {
  const decode = (input: string) =>
    [1, 3, 1_000_000].map((size) => {
      const defects: Defects = new Set();
      const decoder = transferDecoder('base64', defects);
      const bytes = Buffer.from(input);
      const out: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size)
        out.push(Buffer.from(decoder.write(bytes.subarray(at, at + size))));
      out.push(decoder.end());
      return [Buffer.concat(out).toString(), [...defects]];
    });
  const all = (text: string, ...defects: string[]) => [1, 2, 3].map(() => [text, defects]);
  const footer = '____\r\nSent to the list by example.org';

  test.each([
    ['behind padding', 'SGVsbG8gV29ybGQ=\r\n\r\n'],
    ['behind padding, at once', 'SGVsbG8gV29ybGQ=\r\n'],
    ['without padding', 'SGVsbG8gV29ybGRz\r\n\r\n'],
    ['with LF', 'SGVsbG8gV29ybGQ=\n\n'],
  ])('%s', (_name, base64) => {
    const text = Buffer.from(base64, 'base64').toString();
    for (const words of [
      footer,
      '--\r\nUnsubscribe: http://x.example/',
      'Regards, Ann',
      '_______________\r\nlist@x.example',
      '-----',
      'Ann',
    ]) {
      expect(decode(base64 + words)).toEqual(all(text, 'invalid-base64'));
    }
  });

  test('what goes on is base64', () => {
    expect(decode('YQ==\r\nYmM=\r\nZGVm\r\n')).toEqual(all('abcdef'));
    expect(decode('YWJj\r\n\r\nZGVm\r\n\r\nZ2hp\r\n')).toEqual(all('abcdefghi'));
    expect(decode('YWJj\r\n\r\nZGVm\r\n\r\nZ2hp\r\n\r\n')).toEqual(all('abcdefghi'));
    expect(decode('YQ==\r\n\r\n\r\n')).toEqual(all('a'));
    expect(decode('YQ====')).toEqual(all('a'));
    // Lines that are no whole groups, with an empty line behind each.
    const bytes = Buffer.from('x'.repeat(3_000)).toString('base64');
    expect(decode(bytes.replace(/.{73}/g, '$&\r\n\r\n'))).toEqual(all('x'.repeat(3_000)));
    expect(decode(bytes.replace(/.{76}/g, '$&\r\n\r\n'))).toEqual(all('x'.repeat(3_000)));
  });

  test('a long file of pieces that were encoded one by one', () => {
    const pieces = Array.from({ length: 3_000 }, (_, n) => Buffer.from(`piece ${n} `));
    expect(decode(pieces.map((piece) => piece.toString('base64')).join('\r\n'))).toEqual(
      all(pieces.map(String).join('')),
    );
  });
});
