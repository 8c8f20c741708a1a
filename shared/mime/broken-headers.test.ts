import { describe, expect, test } from 'vitest';
import { collect, head, inChunks, lines } from './collect.test-support.ts';

const sizes = [1, 5, 100_000];

/** Reads a mail in chunks of several sizes, which must make no difference. */
async function read(mail: string | Buffer) {
  const all = await Promise.all(sizes.map((size) => collect(inChunks(Buffer.from(mail), size))));
  const [first] = all;
  for (const other of all) expect(other.mail).toEqual(first?.mail);
  if (first === undefined) throw new Error('nothing was read');
  return first;
}

describe('in front of the first field', () => {
  const mark = '\ufeff';
  test.each([
    ['a byte order mark', `${mark}${head}`],
    ['a byte order mark and an empty line', `${mark}\r\n${head}`],
    ['a blank', ` ${head}`],
    ['a tab', `\t${head}`],
    ['empty lines', `\r\n\r\n${head}`],
    ['empty lines, LF', `\n\n${head}`],
    ['the line of an mbox file', `From ann Mon Jan  2 15:04:05 2006\r\n${head}`],
    ['an empty line and the line of an mbox file', `\r\nFrom ann Mon Jan  2 15:04:05 2006\r\n${head}`],
    ['a byte order mark and a blank', `${mark} ${head}`],
    ['a blank before every field', head.replace(/^/gm, ' ')],
  ])('%s is passed over', async (_name, text) => {
    const { mail } = await read(lines(text, '', 'body'));
    expect(mail).toMatchObject({
      from: [{ address: 'ann@example.com' }],
      to: [{ address: 'bob@example.com' }],
      subject: 'Hello',
      messageId: '<1@example.com>',
      text: 'body',
    });
  });

  test.each([
    ['words', 'just words\r\nof two lines'],
    ['words behind an empty line', '\r\nHello: these are words\r\nof two lines'],
    ['indented words', '  just words\r\n  of two lines'],
  ])('%s are a body', async (_name, text) => {
    expect((await read(text)).mail.text).toBe(text.replaceAll('\r\n', '\n').replace(/^\n/, ''));
  });

  test('a header of a part that is indented', async () => {
    const { mail } = await read(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        ' Content-Type: text/html',
        '',
        '<p>x</p>',
        '--b--',
      ),
    );
    expect([mail.html, mail.text]).toEqual(['<p>x</p>', undefined]);
  });
});

describe('a header without the empty line behind it', () => {
  test.each([
    ['words', 'These are words.\r\nAnd more.'],
    ['a salutation', 'Dear Bob,\r\nNote: this is no field.\r\nBye'],
    ['words, an empty line, words', 'One.\r\n\r\nTwo.\r\n'],
    ['words with indented lines', 'One:\r\n two\r\n three\r\n'],
    ['one word', 'Hello'],
    ['markup', '<html>\r\n<p style="a: b">x</p>\r\n</html>'],
  ])('%s', async (_name, body) => {
    const { mail } = await read(`${head}\r\n${body}`.replace(/One:\r\n/, 'One\r\n'));
    expect(mail.text).toBe(body.replaceAll('\r\n', '\n').replace('One:\n', 'One\n'));
    expect(mail.subject).toBe('Hello');
    expect(mail.defects).toEqual(['malformed-header']);
  });

  test('a part', async () => {
    const { mail } = await read(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: text/plain',
        'words',
        '--b',
        'Content-Type: text/plain',
        '--b--',
      ),
    );
    expect(mail.text?.trim()).toBe('words');
  });

  test('a multipart whose first delimiter comes at once', async () => {
    const { mail, contents } = await read(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary="b"',
        '--b',
        '',
        'words',
        '--b',
        'Content-Type: image/png',
        '',
        'PNG',
        '--b--',
      ),
    );
    expect([mail.text, contents.map(String)]).toEqual(['words', ['PNG']]);
  });

  test('rubbish among the fields is none', async () => {
    const { mail } = await read(
      lines('From: a@b.example', 'rubbish', 'X-Mailer: x', 'more', 'Subject: Hello', '', 'body'),
    );
    expect([mail.subject, mail.text]).toEqual(['Hello', 'body']);
  });

  test('a long body, without end of its header', async () => {
    const body = 'words and more words\r\n'.repeat(20_000);
    const { mail, long } = await collect(`${head}\r\n${body}`, { limits: { inlineText: 1_000 } });
    expect(mail.textTruncated).toBe(true);
    expect(long.get('text')?.toString()).toBe(body.replaceAll('\r\n', '\n'));
  });
});

describe('a boundary that is folded wrongly, or missing', () => {
  const parts = (boundary: string) =>
    lines(
      '',
      `--${boundary}`,
      'Content-Type: text/plain',
      '',
      'words',
      `--${boundary}`,
      'Content-Type: image/png',
      '',
      'PNG',
      `--${boundary}--`,
      '',
    );

  test.each([
    ['without a blank', 'Content-Type: multipart/mixed;\r\nboundary="b"', 'b'],
    ['with a colon inside', 'Content-Type: multipart/mixed;\r\nboundary="b:1"', 'b:1'],
    ['behind the equals sign', 'Content-Type: multipart/mixed; boundary=\r\n"b"', 'b'],
    ['behind the equals sign, with a blank', 'Content-Type: multipart/mixed; boundary=\r\n "b"', 'b'],
    ['after another parameter', 'Content-Type: multipart/report; report-type=delivery-status;\r\nboundary="b"', 'b'],
    ['twice', 'Content-Type: multipart/report;\r\nreport-type=delivery-status;\r\nboundary="b"', 'b'],
    ['in its middle', 'Content-Type: multipart/mixed; boundary="one\r\n two"', 'onetwo'],
    ['in its middle, without a blank', 'Content-Type: multipart/mixed; boundary="one\r\ntwo"', 'onetwo'],
    ['in its middle, and meant', 'Content-Type: multipart/mixed; boundary="one\r\n two"', 'one two'],
    ['without a semicolon', 'Content-Type: multipart/mixed boundary=b', 'b'],
    ['not reported', 'Content-Type: multipart/mixed', '----=_Part_1'],
    ['empty', 'Content-Type: multipart/mixed; boundary=""', 'b'],
    ['another one', 'Content-Type: multipart/mixed; boundary="a"', 'b'],
    ['without its closing quote', 'Content-Type: multipart/mixed; boundary="b', 'b'],
  ])('%s', async (_name, type, boundary) => {
    const { mail, contents } = await read(lines(head, type, parts(boundary)));
    expect([mail.text, contents.map(String)]).toEqual(['words', ['PNG']]);
  });

  test('missing within another multipart', async () => {
    const { mail, contents } = await read(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=o',
        '',
        '--o',
        'Content-Type: multipart/alternative',
        parts('i'),
        '--o',
        '',
        'outer',
        '--o--',
      ),
    );
    expect([mail.text, contents.map(String)]).toEqual(['words\nouter', ['PNG']]);
  });

  test.each([
    ['a ruler', '--------\r\n\r\nwords\r\n--------\r\n\r\nwords'],
    ['a signature', 'words\r\n-- \r\nAnn'],
    ['a name', 'words\r\n--Ann\r\n\r\nP.S. x'],
  ])('%s is no delimiter', async (_name, body) => {
    const { mail } = await read(lines(head, 'Content-Type: multipart/mixed', '', body));
    expect([mail.text, mail.attachments]).toEqual([body.replaceAll('\r\n', '\n'), []]);
  });

  test('another parameter that is folded wrongly', async () => {
    const { mail } = await read(
      lines(
        head,
        'Content-Type: application/pdf;',
        'name="a.pdf"',
        'Content-Disposition: attachment;',
        'filename="b.pdf"',
        '',
        'PDF',
      ),
    );
    expect(mail.attachments).toMatchObject([{ filename: 'b.pdf', contentType: 'application/pdf' }]);
  });
});

describe('raw bytes in headers', () => {
  const subject = async (field: Buffer, more = '') =>
    (await read(Buffer.concat([Buffer.from('From: a@b.example\r\nSubject: '), field, Buffer.from(`\r\n${more}\r\nx`)])))
      .mail.subject;
  const latin1 = (text: string) => Buffer.from(text, 'latin1');

  test.each([
    ['of the charset of the word', latin1('=?iso-8859-1?Q?Gr\xfc\xdfe_aus_K=F6ln?='), 'Grüße aus Köln'],
    ['UTF-8 in a word of UTF-8', Buffer.from('=?utf-8?Q?Grüße_aus_K=C3=B6ln?='), 'Grüße aus Köln'],
    ['UTF-8 in a word of another charset', Buffer.from('=?iso-8859-1?Q?Grüße_aus_K=F6ln?='), 'Grüße aus Köln'],
    ['windows-1252 in a word of UTF-8', latin1('=?utf-8?Q?Gr\xfc\xdfe_aus_K=C3=B6ln?='), 'Grüße aus Köln'],
    [
      'Shift_JIS in its word',
      Buffer.concat([latin1('=?shift_jis?Q?'), Buffer.from('93fa967b8cea', 'hex'), latin1('?=')]),
      '日本語',
    ],
    ['two words', latin1('=?iso-8859-1?Q?Gr\xfc?= =?iso-8859-1?Q?\xdfe?='), 'Grüße'],
    [
      'a word and raw text',
      Buffer.concat([latin1('=?iso-8859-1?Q?Gr=FC=DFe?= '), Buffer.from('aus Köln')]),
      'Grüße aus Köln',
    ],
    ['no word, but its beginning', latin1('=?iso-8859-1?Q?Gr\xfc'), '=?iso-8859-1?Q?Grü'],
  ])('%s', async (_name, bytes, expected) => {
    expect(await subject(bytes)).toBe(expected);
  });

  test.each([
    ['shift_jis', '93fa967b8cea', '日本語'],
    ['euc-jp', 'c6fccbdcb8ec', '日本語'],
    ['gb2312', 'c4e3bac3', '你好'],
    ['big5', 'a741a66e', '你好'],
    ['ks_c_5601-1987', 'bec8b3e7', '안녕'],
    ['windows-1251', 'cff0e8e2e5f2', 'Привет'],
    ['koi8-r', 'f0d2c9d7c5d4', 'Привет'],
    ['iso-8859-2', 'b1e6ea', 'ąćę'],
  ])('raw, in the charset that the body declares: %s', async (charset, hex, expected) => {
    expect(await subject(Buffer.from(hex, 'hex'), `Content-Type: text/plain; charset="${charset}"\r\n`)).toBe(expected);
    const inPart = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=${charset}\r\n`;
    expect(await subject(Buffer.from(hex, 'hex'), inPart)).toBe(expected);
  });

  test('UTF-8 stays UTF-8, whatever the body is, and names and files likewise', async () => {
    expect(await subject(Buffer.from('Grüße'), 'Content-Type: text/plain; charset=windows-1251\r\n')).toBe('Grüße');
    const { mail } = await read(
      Buffer.concat([
        latin1(
          'From: \xcf\xf0\xe8\xe2\xe5\xf2 <a@b.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n',
        ),
        latin1('Content-Type: text/plain; charset=windows-1251\r\n\r\nx\r\n--b\r\n'),
        latin1('Content-Disposition: attachment; filename="\xcf\xf0\xe8\xe2\xe5\xf2.txt"\r\n\r\nx\r\n--b--'),
      ]),
    );
    expect(mail.from).toEqual([{ name: 'Привет', address: 'a@b.example' }]);
    expect(mail.attachments).toMatchObject([{ filename: 'Привет.txt' }]);
  });
});

test('headers that end nowhere take no time', { timeout: 180_000 }, async () => {
  for (const piece of [
    'a\r\n',
    ' \r\n',
    '--b\r\n',
    'boundary="\r\n',
    '"\r\n',
    '=?iso-8859-1?q?\xfc',
    '=?a?q?\xfc?= ',
    'Subject: x\r\nx\r\n',
  ]) {
    const many = Buffer.from(piece.repeat(Math.ceil(2_000_000 / piece.length)), 'latin1');
    await collect(Buffer.concat([Buffer.from('From: a@b.example\r\nSubject: '), many]));
    await collect(Buffer.concat([Buffer.from('Content-Type: multipart/mixed;\r\n'), many]));
    await collect(Buffer.concat([Buffer.from('Content-Type: multipart/mixed\r\n\r\n'), many]));
  }
});
