import { describe, expect, test } from 'vitest';
import { collect, head, inChunks, lines } from './collect.test-support.ts';

const uu = (bytes: Buffer) => {
  const out: string[] = [];
  for (let at = 0; at < bytes.length; at += 45) {
    const line = bytes.subarray(at, at + 45);
    let text = String.fromCharCode(32 + line.length);
    for (let from = 0; from < line.length; from += 3) {
      const group = ((line[from] ?? 0) << 16) | ((line[from + 1] ?? 0) << 8) | (line[from + 2] ?? 0);
      for (const shift of [18, 12, 6, 0]) text += String.fromCharCode(32 + ((group >> shift) & 63)).replace(' ', '`');
    }
    out.push(text);
  }
  return [...out, '`', 'end'];
};
const bytes = Buffer.from(Array.from({ length: 3_000 }, (_, index) => (index * 7) % 256));
const text = (...body: readonly string[]) => lines(head, 'Content-Type: text/plain', '', ...body);

describe('uuencode in text', () => {
  test('several files, in chunks of any size', async () => {
    const mail = text(
      'one',
      'begin 644 a b.bin',
      ...uu(bytes),
      'two',
      'begin 0600 c.txt',
      ...uu(Buffer.from('Cat')),
      'three',
    );
    for (const size of [1, 3, 61, 1_000, 100_000]) {
      const read = await collect(inChunks(Buffer.from(mail), size));
      expect(read.mail.text).toBe('one\ntwo\nthree');
      expect(read.mail.attachments.map(({ filename }) => filename)).toEqual(['a b.bin', 'c.txt']);
      expect(read.contents).toEqual([bytes, Buffer.from('Cat')]);
      expect(read.mail.defects).toEqual([]);
    }
  });

  test('a large one, and one with LF line ends', async () => {
    const large = Buffer.concat(Array.from({ length: 100 }, () => bytes));
    const read = await collect(text('begin 644 a.bin', ...uu(large), 'x').replaceAll('\r\n', '\n'));
    expect(read.contents[0]?.equals(large)).toBe(true);
    expect(read.mail.text).toBe('x');
  });

  test.each([
    ['words', ['begin 644 things today', 'and go on']],
    ['one line', ['begin 644 a.txt', '#0V%T', 'and go on']],
    ['nothing', ['begin 644 a.txt', '`', 'end']],
    ['no mode', ['begin a.txt', '#0V%T', '`', 'end']],
    ['in the middle of a line', ['Please begin 644 a.txt', '#0V%T', '`', 'end']],
  ])('what only looks like it stays text: %s', async (_name, body) => {
    const { mail } = await collect(text(...body));
    expect([mail.text, mail.attachments]).toEqual([body.join('\n'), []]);
  });

  test('one that is cut, and one that is broken in its middle', async () => {
    const cut = await collect(text('begin 644 a.bin', ...uu(bytes).slice(0, 10)));
    expect(cut.contents).toEqual([bytes.subarray(0, 450)]);
    expect(cut.mail.defects).toEqual(['invalid-uuencode']);
    const broken = await collect(text('begin 644 a.bin', ...uu(bytes).slice(0, 10), '-- ', 'a footer'));
    expect(broken.mail.text).toBe('-- \na footer');
    expect(broken.contents).toEqual([bytes.subarray(0, 450)]);
  });

  test('in a part, in base64, and no more files than parts', async () => {
    const inner = Buffer.from(['hello', 'begin 644 a.bin', ...uu(bytes), 'bye'].join('\r\n')).toString('base64');
    const read = await collect(lines(head, 'Content-Type: text/plain', 'Content-Transfer-Encoding: base64', '', inner));
    expect([read.mail.text, read.contents]).toEqual(['hello\nbye', [bytes]]);
    const many = await collect(text(...Array.from({ length: 30 }, () => ['begin 644 a', '#0V%T', '`', 'end']).flat()), {
      limits: { parts: 10 },
    });
    expect(many.mail.attachments).toHaveLength(10);
    expect(many.mail.text).toContain('begin 644 a');
  });
});

describe('uuencode as a transfer encoding', () => {
  const part = (...body: readonly string[]) =>
    collect(
      lines(
        head,
        'Content-Type: application/octet-stream; name=a.bin',
        'Content-Transfer-Encoding: x-uuencode',
        '',
        ...body,
      ),
    );

  test.each([
    ['with a beginning', ['in front', 'begin 644 x', ...uu(bytes)]],
    ['without', uu(bytes)],
    ['without beginning and end', uu(bytes).slice(0, -2)],
    ['without the empty line before the end', ['begin 644 x', ...uu(bytes).filter((line) => line !== '`')]],
  ])('%s', async (_name, body) => {
    expect((await part(...body)).contents).toEqual([bytes]);
  });

  test('what is none stays as it is, and is reported', async () => {
    const read = await part('These are words,', 'and no code.');
    expect(read.contents.map(String)).toEqual(['These are words,\r\nand no code.']);
    expect(read.mail.defects).toEqual(['invalid-uuencode']);
    const long = await part(...Array.from({ length: 5_000 }, (_, n) => `line ${n} of words`));
    expect(long.contents[0]?.length).toBe(
      Buffer.byteLength(Array.from({ length: 5_000 }, (_, n) => `line ${n} of words`).join('\r\n')),
    );
  });
});

describe('yEnc in text', () => {
  const encode = (data: Buffer) => {
    const lines: Buffer[] = [];
    const line: number[] = [];
    for (const byte of data) {
      const value = (byte + 42) & 255;
      if ([0, 10, 13, 61].includes(value)) line.push(61, (value + 64) & 255);
      else line.push(value);
      if (line.length >= 128) lines.push(Buffer.from([...line.splice(0), 13, 10]));
    }
    return Buffer.concat([...lines, Buffer.from([...line, 13, 10])]);
  };
  const mail = (size: number) =>
    Buffer.concat([
      Buffer.from(
        lines(
          head,
          'Content-Type: text/plain',
          'Content-Transfer-Encoding: 8bit',
          '',
          'See below.',
          `=ybegin line=128 size=${size} name=a b.bin `,
          '',
        ),
      ),
      encode(bytes),
      Buffer.from(lines(`=yend size=${size} crc32=00000000`, 'Bye', '')),
    ]);

  test('in chunks of any size', async () => {
    for (const size of [1, 7, 128, 100_000]) {
      const read = await collect(inChunks(mail(bytes.length), size));
      expect(read.mail.text).toBe('See below.\nBye\n');
      expect(read.mail.attachments).toMatchObject([{ filename: 'a b.bin' }]);
      expect(read.contents).toEqual([bytes]);
      expect(read.mail.defects).toEqual([]);
    }
  });

  test('a size that is wrong is reported', async () => {
    expect((await collect(mail(5))).mail.defects).toEqual(['invalid-yenc']);
  });

  test('a part of several', async () => {
    const part = Buffer.concat([
      Buffer.from(
        lines(head, '', '=ybegin part=1 total=2 line=128 size=9000 name=a.bin', '=ypart begin=1 end=3000', ''),
      ),
      encode(bytes),
      Buffer.from('=yend size=3000 part=1 pcrc32=00000000\r\n'),
    ]);
    const read = await collect(part);
    expect([read.contents, read.mail.defects]).toEqual([[bytes], []]);
  });

  test('words about it stay text', async () => {
    const { mail } = await collect(text('=ybegin is how it begins', 'x', '=yend'));
    expect([mail.text, mail.attachments]).toEqual(['=ybegin is how it begins\nx\n=yend', []]);
  });
});
