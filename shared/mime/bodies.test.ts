import { describe, expect, test } from 'vitest';
import { collect, head, inChunks, lines } from './collect.test-support.ts';

const multipart = (type: string, ...parts: readonly string[]) =>
  lines(
    head,
    `Content-Type: multipart/${type}; boundary="b"`,
    '',
    ...parts.flatMap((part) => ['--b', part]),
    '--b--',
    '',
  );
const nested = (type: string, boundary: string, ...parts: readonly string[]) =>
  lines(
    `Content-Type: multipart/${type}; boundary="${boundary}"`,
    '',
    ...parts.flatMap((part) => [`--${boundary}`, part]),
    `--${boundary}--`,
  );
const plain = (body: string, ...fields: readonly string[]) =>
  lines('Content-Type: text/plain; charset=utf-8', ...fields, '', body);
const html = (body: string, ...fields: readonly string[]) =>
  lines('Content-Type: text/html; charset=utf-8', ...fields, '', body);
const image = (...fields: readonly string[]) => lines('Content-Type: image/png', ...fields, '', 'PNG');

describe('which text is the body (RFC 8621 section 4.1.4)', () => {
  test.each([
    ['a name', 'Content-Type: text/plain; name=mail.txt'],
    ['an inline file name', 'Content-Type: text/plain\r\nContent-Disposition: inline; filename=mail.txt'],
    ['a file name in RFC 2231', "Content-Type: text/plain\r\nContent-Disposition: inline; filename*=utf-8''mail.txt"],
    ['a Content-Location', 'Content-Type: text/plain\r\nContent-Location: mail.txt'],
    ['a Content-ID', 'Content-Type: text/plain\r\nContent-ID: <text>'],
  ])('the first, though it has %s', async (_name, fields) => {
    for (const type of ['mixed', 'related', 'alternative', 'signed', 'report']) {
      const { mail } = await collect(
        multipart(type, lines(fields, '', 'words'), image('Content-Disposition: attachment; filename=a.png')),
      );
      expect([type, mail.text, mail.attachments.map(({ filename }) => filename)]).toEqual([type, 'words', ['a.png']]);
    }
  });

  test('the first text, though an image stands before it', async () => {
    const { mail } = await collect(
      multipart(
        'mixed',
        image('Content-Disposition: inline; filename=a.png'),
        html('<p>words</p>', 'Content-Disposition: inline; filename=mail.html'),
      ),
    );
    expect(mail.html).toBe('<p>words</p>');
    expect(mail.attachments.map(({ filename }) => filename)).toEqual(['a.png']);
  });

  test('a later text with a name is a file; one that is an attachment always is', async () => {
    const { mail } = await collect(
      multipart(
        'mixed',
        plain('words'),
        html('<p>file</p>', 'Content-Disposition: inline; filename=page.html'),
        plain('log', 'Content-Disposition: attachment'),
      ),
    );
    expect([mail.text, mail.html]).toEqual(['words', undefined]);
    expect(mail.attachments.map(({ filename, contentType }) => [filename, contentType])).toEqual([
      ['page.html', 'text/html'],
      [undefined, 'text/plain'],
    ]);
    const first = await collect(
      multipart('mixed', plain('log', 'Content-Disposition: attachment; filename=a.log'), plain('words')),
    );
    expect([first.mail.text, first.mail.attachments.length]).toEqual(['words', 1]);
  });

  test('an MMS: text and smil, all with locations', async () => {
    const { mail } = await collect(
      multipart(
        'related; start="<smil>"; type="application/smil"',
        lines('Content-Type: application/smil', 'Content-ID: <smil>', '', '<smil/>'),
        plain('words', 'Content-Location: text_0.txt'),
        image('Content-Location: IMG_1.png'),
      ),
    );
    expect(mail.text).toBe('words');
    expect(mail.attachments.map(({ filename }) => filename)).toEqual([undefined, 'IMG_1.png']);
  });
});

describe('multipart/related (RFC 2387)', () => {
  test.each([
    ['quoted', '"<root>"'],
    ['without brackets', 'root'],
    ['in brackets alone', '<root>'],
  ])('the root that start names, %s, wherever it stands', async (_name, start) => {
    const frame = html('<p>frame</p>', 'Content-ID: <frame>');
    const root = html('<p>root <img src="cid:i"></p>', 'Content-ID: <root>');
    for (const parts of [
      [frame, root, image('Content-ID: <i>')],
      [image('Content-ID: <i>'), frame, root],
      [root, frame, image('Content-ID: <i>')],
    ]) {
      const { mail, contents } = await collect(multipart(`related; start=${start}`, ...parts));
      expect(mail.html).toBe('<p>root <img src="cid:i"></p>');
      expect(contents.map(String).sort()).toEqual(['<p>frame</p>', 'PNG']);
    }
  });

  test('a start that names nothing: the first', async () => {
    const { mail } = await collect(
      multipart('related; start="<nobody>"', html('<p>root</p>', 'Content-ID: <r>'), image('Content-ID: <i>')),
    );
    expect(mail.html).toBe('<p>root</p>');
  });

  test('a page with frames (MHTML)', async () => {
    const { mail } = await collect(
      multipart(
        'related; type="text/html"',
        html('<p>page</p>', 'Content-Location: http://www.example.com/index.html'),
        html('<p>frame</p>', 'Content-Location: http://www.example.com/frame.html'),
        lines('Content-Type: text/css', 'Content-Location: http://www.example.com/a.css?v=1', '', 'p {}'),
      ),
    );
    expect(mail.html).toBe('<p>page</p>');
    expect(mail.attachments.map(({ filename, inline }) => [filename, inline])).toEqual([
      ['frame.html', true],
      ['a.css', true],
    ]);
  });
});

describe('multipart/alternative: the last of each kind (RFC 2046 section 5.1.4)', () => {
  test('the html that has its images', async () => {
    const { mail, contents } = await collect(
      multipart(
        'alternative',
        plain('words'),
        html('<p>simple</p>'),
        nested('related', 'r', html('<p>rich <img src="cid:i"></p>'), image('Content-ID: <i>')),
      ),
    );
    expect([mail.text, mail.html]).toEqual(['words', '<p>rich <img src="cid:i"></p>']);
    expect(contents.map(String).sort()).toEqual(['<p>simple</p>', 'PNG']);
  });

  test('not an empty one', async () => {
    const { mail } = await collect(
      multipart('alternative', plain('words'), plain(' \r\n'), html('<p>x</p>'), html('')),
    );
    expect([mail.text, mail.html, mail.attachments]).toEqual(['words', '<p>x</p>', []]);
  });

  test('pieces of one alternative stay together', async () => {
    const { mail } = await collect(
      multipart(
        'alternative',
        plain('words'),
        nested(
          'mixed',
          'm',
          html('<p>one</p>'),
          image('Content-Disposition: inline; filename=a.png'),
          html('<p>two</p>'),
          plain('footer'),
        ),
      ),
    );
    expect([mail.text, mail.html]).toEqual(['words', '<p>one</p>\n<p>two</p>']);
    expect(mail.attachments).toHaveLength(2);
  });

  test('two alternatives beside each other', async () => {
    const { mail } = await collect(
      multipart(
        'mixed',
        nested('alternative', 'x', plain('1'), plain('2')),
        nested('alternative', 'y', plain('3'), plain('4')),
      ),
    );
    expect(mail.text).toBe('2\n4');
  });

  test('a last one that is long', async () => {
    const { mail, long, contents } = await collect(multipart('alternative', plain('old'), plain('x'.repeat(5_000))), {
      limits: { inlineText: 1_000 },
    });
    expect(long.get('text')?.length).toBe(5_000);
    expect([mail.text, mail.textTruncated]).toEqual(['x'.repeat(1_000), true]);
    expect(contents.map(String)).toEqual(['old']);
  });
});

describe('inline is what the HTML shows', () => {
  test.each([
    ['<img src="cid:pic">', true],
    ["<img src='CID:pic'>", true],
    ['<img src=cid:pic>', true],
    ['<div style="background: url(cid:pic)">', true],
    ['<p>no picture, but cid:other and acid:pictures</p>', false],
  ])('%s', async (markup, inline) => {
    const { mail } = await collect(
      multipart('mixed', html(markup), image('Content-ID: <pic>', 'Content-Disposition: attachment; filename=a.png')),
    );
    expect(mail.attachments).toMatchObject([{ inline }]);
  });

  test('percent-escapes, entities, and a reference that comes in pieces or late', async () => {
    const id = 'a&b@x.example';
    const mail = multipart(
      'related',
      image(`Content-ID: <${id}>`, 'Content-Disposition: attachment; filename=a.png'),
      html(`<p>${'x'.repeat(3_000)}</p><img src="cid:a&amp;b%40x.example">`),
    );
    for (const size of [1, 100, 100_000]) {
      const read = await collect(inChunks(Buffer.from(mail), size), { limits: { inlineText: 1_000 } });
      expect(read.mail.attachments).toMatchObject([{ inline: true }]);
    }
  });
});

describe('format=flowed (RFC 3676)', () => {
  const flowed = async (text: string, more = '') =>
    (await collect(lines(head, `Content-Type: text/plain; charset=utf-8; format=Flowed${more}`, '', text))).mail.text;

  test.each([
    ['One \r\ntwo.\r\n', 'One two.\n'],
    ['One \r\ntwo.\r\n\r\n  stuffed\r\n >not quoted\r\n', 'One two.\n\n stuffed\n>not quoted\n'],
    ['> One \r\n> two.\r\n>> deeper \r\n> back\r\n', '> One two.\n>> deeper \n> back\n'],
    ['Hello \r\n-- \r\nAnn \r\nB.\r\n', 'Hello \n-- \nAnn B.\n'],
    ['> text \r\n> -- \r\n> Ann\r\n', '> text \n> -- \n> Ann\n'],
    ['no end ', 'no end '],
    ['no end', 'no end'],
    ['', ''],
    ['a \r\n\r\nb\r\n', 'a \nb\n'],
  ])('%j', async (text, expected) => {
    expect(await flowed(text)).toBe(expected);
  });

  test.each(['=yes', '="YES"'])('with delsp%s the blank goes', async (value) => {
    expect(await flowed('日本 \r\n語\r\nfixed\r\n', `; delsp${value}`)).toBe('日本語\nfixed\n');
  });

  test('fixed text, and HTML, stay as they are', async () => {
    expect((await collect(lines(head, 'Content-Type: text/plain; format=fixed', '', 'a ', 'b'))).mail.text).toBe(
      'a \nb',
    );
    expect((await collect(lines(head, 'Content-Type: text/html; format=flowed', '', 'a ', ' b'))).mail.html).toBe(
      'a \n b',
    );
  });

  test('however the bytes come, and without end', async () => {
    const mail = lines(head, 'Content-Type: text/plain; format=flowed', '', '> a ', '> b', ' c ', 'd', '');
    for (const size of [1, 2, 3, 5])
      expect((await collect(inChunks(Buffer.from(mail), size))).mail.text).toBe('> a b\nc d\n');
    const long = lines(head, 'Content-Type: text/plain; format=flowed', '', `${'x'.repeat(100_000)} `, 'y', '');
    expect((await collect(long)).mail.text).toMatch(/^x{100000} \ny\n$/);
  });
});
