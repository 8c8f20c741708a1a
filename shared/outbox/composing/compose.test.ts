import { once } from 'node:events';
import { Readable } from 'node:stream';
import mailsplit from '@zone-eu/mailsplit';
import libmime from 'libmime';
import { describe, expect, it } from 'vitest';
import { resolveAccount } from '../../accounts/rules.ts';
import { parseSendRequest } from '../accepting/request.ts';
import type { UploadPlace } from '../uploads/upload-places.ts';
import { composeMail } from './compose.ts';
import { newMessageId } from './message-ids.ts';

const { account } = resolveAccount('corpus', {
  from: 'Corpus <corpus@example.com>',
  allowedFrom: ['*@example.com'],
  transport: { protocol: 'smtp', host: 'mail.example.com' },
});
const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const fixed = { messageId: '<fixed@example.com>', date: new Date(now) };

interface Part {
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
  readonly disposition: string;
  readonly filename: string | undefined;
  readonly content: Buffer;
}

/** Reads a mail with another library than the one that wrote it. */
async function readParts(bytes: Buffer): Promise<readonly Part[]> {
  const splitter = new mailsplit.Splitter({ ignoreEmbedded: true });
  const parts: { headers: Record<string, string[]>; chunks: Buffer[] }[] = [];
  splitter.on('data', (chunk) => {
    if (chunk.type === 'node') {
      const headers: Record<string, string[]> = {};
      for (const { key, line } of chunk.headers ? chunk.headers.getList() : []) {
        headers[key] = [
          ...(headers[key] ?? []),
          line
            .slice(line.indexOf(':') + 1)
            .replace(/\r\n/g, '')
            .trim(),
        ];
      }
      parts.push({ headers, chunks: [] });
    } else if (chunk.type === 'body') {
      parts.at(-1)?.chunks.push(chunk.value);
    }
  });
  const ended = once(splitter, 'end');
  Readable.from([bytes]).pipe(splitter);
  await ended;
  return parts.map(({ headers, chunks }) => {
    const type = libmime.parseHeaderValue(headers['content-type']?.[0] ?? 'text/plain');
    const disposition = libmime.parseHeaderValue(headers['content-disposition']?.[0] ?? '');
    const raw = Buffer.concat(chunks);
    const encoding = headers['content-transfer-encoding']?.[0] ?? '7bit';
    const content =
      encoding === 'base64'
        ? Buffer.from(raw.toString('latin1'), 'base64')
        : encoding === 'quoted-printable'
          ? decodeQp(raw.toString('latin1'))
          : raw;
    const filename = disposition.params.filename;
    return {
      headers,
      type: type.value,
      params: type.params as Record<string, string>,
      disposition: disposition.value,
      filename: filename === undefined ? undefined : libmime.decodeWords(String(filename)),
      content,
    };
  });
}

function decodeQp(text: string): Buffer {
  const octet = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
  return Buffer.from(text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, octet), 'latin1');
}

async function composed(
  request: Record<string, unknown>,
): Promise<{ bytes: Buffer; parts: readonly Part[]; root: Part }> {
  const mail = composeMail(
    parseSendRequest({ to: 'a@example.org', subject: 's', ...request }, account, { now }),
    fixed,
  );
  const bytes = Buffer.concat(await mail.open().toArray());
  const parts = await readParts(bytes);
  const root = parts[0];
  if (root === undefined) throw new Error('no parts');
  for (const line of bytes.toString('latin1').split('\r\n')) {
    expect(line.length).toBeLessThanOrEqual(998);
    expect(line).not.toMatch(/[\r\n]/);
  }
  return { bytes, parts, root };
}

const text = (part: Part | undefined) => part?.content.toString('utf8');

describe('composeMail', () => {
  it('writes the headers of a plain mail', async () => {
    const { root, bytes } = await composed({
      from: { name: 'Müller, Hans', address: 'hans@example.com' },
      sender: 'corpus@example.com',
      to: ['Ann <a@example.org>', { name: 'Bob, B.', address: 'b@example.org' }],
      cc: 'c@bücher.example',
      bcc: ['secret@example.org'],
      replyTo: 'reply@example.com',
      text: 'Hello\nworld\n',
      inReplyTo: 'parent@example.org',
      priority: 'high',
    });
    const header = (name: string) => root.headers[name]?.[0];
    expect(libmime.decodeWords(header('from') ?? '')).toBe('Müller, Hans <hans@example.com>');
    expect(header('sender')).toBe('corpus@example.com');
    expect(header('to')).toBe('Ann <a@example.org>, "Bob, B." <b@example.org>');
    expect(header('cc')).toBe('c@xn--bcher-kva.example');
    expect(header('reply-to')).toBe('reply@example.com');
    expect(header('date')).toBe('Fri, 02 Jan 2026 03:04:05 +0000');
    expect(header('message-id')).toBe('<fixed@example.com>');
    expect(header('in-reply-to')).toBe('<parent@example.org>');
    expect(header('references')).toBe('<parent@example.org>');
    expect(header('importance')).toBe('high');
    expect(header('x-priority')).toBe('1 (Highest)');
    expect(header('mime-version')).toBe('1.0');
    expect(text(root)).toBe('Hello\r\nworld\r\n');
    expect(bytes.toString('latin1')).not.toMatch(/bcc|secret@/i);
  });

  it('writes no header that says nothing', async () => {
    for (const sender of [undefined, 'corpus@example.com']) {
      const { root } = await composed({ sender, text: 't' });
      for (const name of ['sender', 'in-reply-to', 'references', 'cc', 'reply-to', 'importance'])
        expect(root.headers, name).not.toHaveProperty(name);
    }
  });

  it('names the whole thread of a reply, in its order', async () => {
    const { root } = await composed({
      inReplyTo: 'c@example.com',
      references: ['a@example.com', '<b@example.com>', 'c@example.com'],
    });
    expect(root.headers['in-reply-to']).toEqual(['<c@example.com>']);
    expect(root.headers.references).toEqual(['<a@example.com> <b@example.com> <c@example.com>']);
  });

  it('puts everybody once into the envelope, and says which are blind', () => {
    const mail = composeMail(
      parseSendRequest(
        {
          to: 'a@example.org, b@EXAMPLE.org',
          cc: 'a@example.org',
          bcc: ['b@example.org', 'd@example.org'],
          subject: '',
          dsn: { notify: 'never', envid: 'e1' },
        },
        account,
        { now },
      ),
      fixed,
    );
    expect(mail.envelope).toEqual({
      from: 'corpus@example.com',
      to: ['a@example.org', 'b@example.org', 'd@example.org'],
      dsn: { notify: ['never'], envid: 'e1' },
    });
    expect(mail.bcc).toEqual(['d@example.org']);
    expect(mail.headerFrom).toBe('corpus@example.com');
  });

  it('gives the same bytes every time', async () => {
    const request = parseSendRequest(
      {
        to: 'a@example.org',
        subject: 'ü',
        text: 't',
        html: '<p>h',
        attachments: [{ filename: 'a.bin', content: 'AAEC' }],
      },
      account,
      { now },
    );
    const mail = composeMail(request, fixed);
    const first = Buffer.concat(await mail.open().toArray());
    expect(Buffer.concat(await mail.open().toArray()).equals(first)).toBe(true);
    expect(Buffer.concat(await composeMail(request, fixed).open().toArray()).equals(first)).toBe(true);
    const other = await composeMail(request, { ...fixed, boundarySeed: 'x' })
      .open()
      .toArray();
    expect(Buffer.concat(other).equals(first)).toBe(false);
  });

  it('nests text, HTML, inline image, invitation and attachments', async () => {
    const { parts } = await composed({
      text: 'plain',
      html: '<img src="cid:logo@x">',
      calendar: { method: 'request', content: 'BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n' },
      attachments: [
        { filename: 'logo.png', contentId: '<logo@x>', content: 'iVBORw==' },
        { filename: 'listed.png', contentId: 'listed@x', disposition: 'attachment', content: 'iVBORw==' },
        {
          filename: 'data.csv',
          contentType: 'text/csv; charset=utf-8',
          content: Buffer.from('a\nb').toString('base64'),
        },
      ],
    });
    expect(parts.map((part) => part.type)).toEqual([
      'multipart/mixed',
      'multipart/alternative',
      'text/plain',
      'multipart/related',
      'text/html',
      'image/png',
      'text/calendar',
      'image/png',
      'text/csv',
    ]);
    expect(parts[5]?.headers['content-id']).toEqual(['<logo@x>']);
    expect(parts[5]?.disposition).toBe('inline');
    expect(parts[6]?.params.method).toBe('REQUEST');
    expect(text(parts[6])).toBe('BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n');
    expect(parts[7]?.headers['content-id']).toEqual(['<listed@x>']);
    expect(parts[7]?.disposition).toBe('attachment');
    expect(text(parts[8])).toBe('a\nb');
  });

  it('shows a part in the text only where it has an id and there is HTML', async () => {
    const files = [{ filename: 'a.png', content: 'iVBORw==' }];
    const named = [{ filename: 'a.png', contentId: 'a@example.com', content: 'iVBORw==' }];
    const plain = (await composed({ html: '<p>', attachments: files })).parts.at(-1);
    expect(plain?.disposition).toBe('attachment');
    expect(plain?.headers).not.toHaveProperty('content-id');
    const withoutHtml = (await composed({ text: 't', attachments: named })).parts.at(-1);
    expect(withoutHtml?.disposition).toBe('attachment');
    expect(withoutHtml?.headers['content-id']).toEqual(['<a@example.com>']);
    expect((await composed({ html: '<p>', attachments: named })).parts.at(-1)?.disposition).toBe('inline');
  });

  it('sends an invitation alone without an empty text beside it', async () => {
    const { parts } = await composed({ calendar: { method: 'REQUEST', content: 'BEGIN:VCALENDAR\nEND:VCALENDAR\n' } });
    expect(parts.map((part) => part.type)).toEqual(['text/calendar']);
  });

  it('has boundaries that no encoded text holds, within the 70 characters of RFC 2046', async () => {
    const { root } = await composed({ text: 't', html: '<p>' });
    expect(root.params.boundary).toMatch(/^.*=_.*$/);
    expect(root.params.boundary?.length).toBeLessThanOrEqual(70);
  });

  it('leaves uploads out, and says where each belongs', async () => {
    const ids = ['a'.repeat(40), 'b'.repeat(40)] as const;
    const uploads = new Map(ids.map((id) => [id, { id, size: 3, etag: 'e', expiresAt: now + 1 }]));
    const attachments = [ids[1], ids[0], ids[1]].map((upload, index) => ({ filename: `${index}.bin`, upload }));
    const text = Buffer.from('inline').toString('base64');
    const request = parseSendRequest(
      { to: 'a@example.org', subject: 's', attachments: [...attachments, { filename: 'c.bin', content: text }] },
      account,
      { now, uploads },
    );
    const mail = composeMail(request, fixed);
    const places: UploadPlace[] = [];
    const bytes = Buffer.concat(await mail.open((place) => places.push(place)).toArray());
    expect(mail.uploads).toEqual([ids[1], ids[0]]);
    expect(places.map(({ upload }) => upload)).toEqual([0, 1, 0]);
    // Each is put where the part of its name has its text.
    let whole = bytes.toString('latin1');
    for (const { at, upload } of places.toReversed()) whole = `${whole.slice(0, at)}${upload}AAA${whole.slice(at)}`;
    const parts = await readParts(Buffer.from(whole, 'latin1'));
    const contents = parts.map((part) => [part.filename, part.content.toString('base64')]);
    expect(contents.slice(-4)).toEqual([
      ['0.bin', '0AAA'],
      ['1.bin', '1AAA'],
      ['2.bin', '0AAA'],
      ['c.bin', text],
    ]);
  });

  it('keeps all 256 byte values of an attachment', async () => {
    const every = Buffer.from(Array.from({ length: 256 * 40 }, (_, index) => index % 256));
    const { parts } = await composed({ attachments: [{ filename: 'x', content: every.toString('base64') }] });
    expect(parts.map((part) => part.type)).toEqual(['multipart/mixed', 'text/plain', 'application/octet-stream']);
    expect(parts[2]?.content.equals(every)).toBe(true);
  });

  it.each([
    ['in UTF-8', 'Ünïcödé 資料 😀.pdf'],
    ['with quotes', 'with "quotes" and \\ backslash.txt'],
    ['of 255 characters', `${'a'.repeat(251)}.pdf`],
    ['of 200 umlauts', `${'ü'.repeat(200)}.pdf`],
    ['with separators', "it's; a=b.txt"],
    ['that climbs', '../../x'],
  ])('keeps a file name %s', async (_, filename) => {
    const { parts } = await composed({ text: 't', attachments: [{ filename, content: 'AA==' }] });
    expect(parts[2]?.filename).toBe(filename);
  });

  it.each([
    ['plain', 'plain'],
    ['empty', ''],
    ['in UTF-8', 'Übergrößenträger 資料 😀'],
    ['long', 'long '.repeat(390).trim()],
    ['without a space', 'x'.repeat(2000)],
    ['of umlauts', 'ü'.repeat(2000)],
    ['of emoji', '😀'.repeat(900)],
    ['with runs of spaces', 'two  spaces'],
    ['with spaces around', ' leading and trailing '],
    ['with a literal encoded word', 'literal =?utf-8?Q?=41?= stays'],
    ['with special characters', '"quoted" <angle>, (comment)'],
  ])('keeps a subject %s', async (_, subject) => {
    const { root } = await composed({ subject, text: 't' });
    expect(libmime.decodeWords(root.headers.subject?.[0] ?? '')).toBe(subject);
  });

  it.each([
    ['8-bit text', 'Grüße\r\nünd 😀\r\n'],
    ['lines of dots', '.\r\n..\r\n. \r\n.'],
    ['a long line', `${'x'.repeat(5000)}\r\nend`],
    ['mixed line ends', 'a\nb\rc\r\nd'],
    ['control characters', 'nul \u0000 bell \u0007 end'],
    ['trailing spaces', 'a   \r\n\tb\t\r\n'],
    ['From at a line start', 'From me\r\n'],
    ['a boundary look-alike', '--=_mailroom-x\r\n=_mailroom\r\n'],
    ['much text', 'Zeile mit ü und etwas Länge\r\n'.repeat(20_000)],
  ])('keeps a body with %s', async (_, body) => {
    const { root } = await composed({ text: body });
    expect(text(root)?.replace(/\r\n$/, '')).toBe(body.replace(/\r\n|\r|\n/g, '\r\n').replace(/\r\n$/, ''));
  });

  it('sends a mail with nothing in it', async () => {
    const { root, parts } = await composed({ subject: '' });
    expect(parts).toHaveLength(1);
    expect(root.headers['content-type']).toEqual(['text/plain; charset=utf-8']);
    expect(text(root)?.trim()).toBe('');
  });

  it('writes custom headers as they were given', async () => {
    const long = Array.from({ length: 45 }, (_, index) => `<https://example.com/unsubscribe/${index}>`).join(', ');
    const { root, bytes } = await composed({
      headers: {
        'X-MyHeader': 'Value with "quotes"',
        'List-Unsubscribe': long,
        'X-Many': ['one', 'two'],
        'X-Intl': 'größer',
      },
    });
    expect(bytes.toString('latin1')).toContain('\r\nX-MyHeader: Value with "quotes"\r\n');
    expect(root.headers['list-unsubscribe']).toEqual([long]);
    expect(root.headers['x-many']).toEqual(['one', 'two']);
    expect(libmime.decodeWords(root.headers['x-intl']?.[0] ?? '')).toBe('größer');
  });

  it('names 500 recipients', async () => {
    const to = Array.from({ length: 500 }, (_, index) => ({
      name: `Empfänger ${index}`,
      address: `r${index}@example.org`,
    }));
    const { root } = await composed({ to });
    expect(root.headers.to?.[0]?.match(/<r\d+@example\.org>/g)).toHaveLength(500);
  });

  it('keeps names that look like something else', async () => {
    const names = ['a@b.example', 'x" <evil@example.net>', 'back\\slash', 'comma, semi; colon:', "O'Brien", '(paren)'];
    const { root } = await composed({ to: names.map((name, index) => ({ name, address: `r${index}@example.org` })) });
    const value = root.headers.to?.[0] ?? '';
    const unquoted = value.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner: string) =>
      inner.includes('evil') ? 'EVIL' : inner,
    );
    expect(unquoted).not.toContain('evil');
    expect(value.match(/<r\d@example\.org>/g)).toHaveLength(names.length);
  });

  it('attaches a mail as it is, and one that cannot travel as bytes', async () => {
    const inner = 'Subject: in\n\nGrüße\n.\n';
    const wild = Buffer.concat([Buffer.from('Subject: in\n\n'), Buffer.alloc(2000, 'x')]);
    const { parts } = await composed({
      text: 't',
      attachments: [
        { filename: 'in.eml', contentType: 'message/rfc822', content: Buffer.from(inner).toString('base64') },
        { filename: 'wild.eml', content: wild.toString('base64') },
      ],
    });
    expect(parts[2]?.type).toBe('message/rfc822');
    expect(parts[2]?.headers['content-transfer-encoding']).toEqual(['8bit']);
    expect(text(parts[2])?.trimEnd()).toBe(inner.replaceAll('\n', '\r\n').trimEnd());
    expect(parts[3]?.type).toBe('application/octet-stream');
    expect(parts[3]?.content.equals(wild)).toBe(true);
  });

  it('is ASCII throughout, whatever it holds: a server without 8BITMIME takes it as it is', async () => {
    const { bytes } = await composed({
      from: { name: 'Jürgen Größe', address: 'corpus@example.com' },
      to: [{ name: '山田', address: 'anna@bücher.example' }],
      subject: 'Grüße – 你好',
      text: 'Grüße an alle.\n'.repeat(50),
      html: '<p>Größe</p>',
      calendar: { method: 'REQUEST', content: 'BEGIN:VCALENDAR\nSUMMARY:Übung\nEND:VCALENDAR\n' },
      headers: { 'X-Ort': 'Zürich' },
      attachments: [
        { filename: 'Übersicht.txt', contentType: 'text/plain', content: Buffer.from('Ä').toString('base64') },
      ],
    });
    expect(bytes.filter((octet) => octet > 127)).toHaveLength(0);
  });

  it('reads nothing from files or URLs', async () => {
    const { bytes } = await composed({
      html: '<img src="file:///etc/passwd">',
      attachments: [{ filename: '/etc/passwd', content: 'AA==' }],
    });
    expect(bytes.toString('latin1')).not.toContain('root:');
  });
});

describe('newMessageId', () => {
  it('is unique, in the domain of the sender', () => {
    expect(newMessageId('a@example.com')).toMatch(/^<[0-9a-f-]{36}@example\.com>$/);
    expect(newMessageId('a@example.com')).not.toBe(newMessageId('a@example.com'));
  });
});
