import { describe, expect, test } from 'vitest';
import { collect, head, inChunks, lines } from './collect.test-support.ts';

const mixed = (...parts: readonly string[]) =>
  lines(
    head,
    'Content-Type: multipart/mixed; boundary="b"',
    '',
    ...parts.flatMap((part) => ['--b', part]),
    '--b--',
    '',
  );
const part = (fields: readonly string[], body: string) => lines(...fields, '', body);

describe('bodies', () => {
  test('a plain mail', async () => {
    const { mail } = await collect(lines(head, '', 'Hello', 'Bob', ''));
    expect(mail).toEqual({
      messageId: '<1@example.com>',
      subject: 'Hello',
      from: [{ name: 'Ann', address: 'ann@example.com' }],
      to: [{ name: '', address: 'bob@example.com' }],
      cc: [],
      bcc: [],
      replyTo: [],
      date: '2023-01-02T02:04:05.000Z',
      inReplyTo: undefined,
      references: [],
      text: 'Hello\nBob\n',
      html: undefined,
      textTruncated: false,
      htmlTruncated: false,
      attachments: [],
      bounce: undefined,
      flags: {
        autoSubmitted: false,
        bounce: false,
        list: false,
        calendar: false,
        encrypted: false,
        signed: false,
      },
      defects: [],
      authenticationResults: [],
    });
  });

  test('alternatives: the last text and the last html; another of the same kind is kept as an attachment', async () => {
    const { mail, contents } = await collect(
      lines(
        head,
        'Content-Type: multipart/alternative; boundary=a',
        '',
        'preamble',
        '--a',
        part(
          ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable'],
          'Gr=C3=BC=C3=9Fe',
        ),
        '--a',
        part(['Content-Type: text/plain'], 'another'),
        '--a',
        part(
          ['Content-Type: text/html', 'Content-Transfer-Encoding: base64'],
          Buffer.from('<p>é</p>').toString('base64'),
        ),
        '--a--',
      ),
    );
    expect([mail.text, mail.html]).toEqual(['another', '<p>é</p>']);
    expect(contents.map(String)).toEqual(['Grüße']);
    expect(mail.defects).toEqual([]);
  });

  test('further texts of a mixed mail go below the first; a named one is a file', async () => {
    const { mail, contents } = await collect(
      mixed(
        part(['Content-Type: text/plain'], 'one'),
        part(['Content-Type: text/plain', 'Content-Disposition: inline; filename=notes.txt'], 'file'),
        part(['Content-Type: text/plain'], 'two'),
      ),
    );
    expect(mail.text).toBe('one\ntwo');
    expect(mail.attachments).toMatchObject([{ filename: 'notes.txt', inline: true, contentType: 'text/plain' }]);
    expect(contents.map(String)).toEqual(['file']);
  });

  test('a long body goes out as a whole; what is kept ends between two characters', async () => {
    const body = '😀é'.repeat(60_000);
    const { mail, long } = await collect(
      mixed(
        part(['Content-Type: text/plain; charset=utf-8'], body),
        part(['Content-Type: image/png; name=x.png'], 'x'),
        part(['Content-Type: text/plain'], 'too late to be appended'),
      ),
    );
    expect(long.get('text')?.toString()).toBe(body);
    expect(mail.textTruncated).toBe(true);
    const size = Buffer.byteLength(mail.text ?? '');
    expect(size).toBeLessThanOrEqual(256 * 1024);
    expect(size).toBeGreaterThan(256 * 1024 - 4);
    expect(body.startsWith(mail.text ?? '?')).toBe(true);
    expect(mail.attachments.map((attachment) => attachment.contentType)).toEqual(['image/png', 'text/plain']);
  });

  test('a body of exactly the limit is kept, one byte more is not', async () => {
    const limits = { inlineText: 1_000 };
    expect((await collect(lines(head, '', 'x'.repeat(1_000)), { limits })).mail.textTruncated).toBe(false);
    expect((await collect(lines(head, '', 'x'.repeat(1_001)), { limits })).long.get('text')?.length).toBe(1_001);
  });
});

describe('trap 24: bytes end to end', () => {
  const all = Buffer.from(Array.from({ length: 1_024 }, (_, index) => index % 256));

  test.each(['binary', 'base64'])('all 256 values survive %s', async (encoding) => {
    const body = encoding === 'base64' ? Buffer.from(all.toString('base64')) : all;
    const fields = lines('--b', 'Content-Type: application/x-bytes', `Content-Transfer-Encoding: ${encoding}`, '', '');
    const mail = Buffer.concat([
      Buffer.from(lines(head, 'Content-Type: multipart/mixed; boundary=b', '', fields)),
      body,
      Buffer.from('\r\n--b--\r\n'),
    ]);
    for (const size of [1, 3, 64, 10_000]) {
      const { contents } = await collect(inChunks(mail, size));
      expect(contents).toEqual([all]);
    }
  });
});

describe('trap 26: nothing vanishes', () => {
  test('a nested message without a name is kept raw, under its subject', async () => {
    const inner = lines(
      'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
      'Content-Type: multipart/mixed; boundary=i',
      '',
      '--i',
      '',
      'x',
      '--i--',
    );
    const { mail, contents } = await collect(
      mixed(part(['Content-Type: text/plain'], 'see below'), part(['Content-Type: message/rfc822'], inner)),
    );
    expect(mail.text).toBe('see below');
    expect(mail.attachments).toMatchObject([{ filename: 'Grüße.eml', contentType: 'message/rfc822' }]);
    expect(contents.map(String)).toEqual([inner]);
  });

  test('a digest: its parts are messages', async () => {
    const { mail } = await collect(
      lines(head, 'Content-Type: multipart/digest; boundary=d', '', '--d', '', 'From: x@y.example', '', 'z', '--d--'),
    );
    expect(mail.attachments).toMatchObject([{ filename: 'message.eml', contentType: 'message/rfc822' }]);
  });

  test('winmail.dat', async () => {
    const { mail } = await collect(mixed(part(['Content-Type: application/ms-tnef'], 'x')));
    expect(mail.attachments).toMatchObject([{ filename: 'winmail.dat' }]);
  });

  test('a mail that is only a calendar', async () => {
    const { mail, contents } = await collect(
      lines(head, 'Content-Type: text/calendar; method=REQUEST', '', 'BEGIN:VCALENDAR'),
    );
    expect(mail.flags.calendar).toBe(true);
    expect(mail.attachments).toMatchObject([{ filename: 'invite.ics' }]);
    expect(contents.map(String)).toEqual(['BEGIN:VCALENDAR']);
  });

  test.each(['text/vcard', 'text/x-vcard; charset=utf-8'])('a vCard: %s', async (type) => {
    const card = 'BEGIN:VCARD\r\nFN:Anna\r\nEND:VCARD';
    const { mail, contents } = await collect(
      mixed(part(['Content-Type: text/plain'], 'words'), part([`Content-Type: ${type}`], card)),
    );
    expect(mail.text).toBe('words');
    expect(mail.attachments).toMatchObject([{ filename: 'contact.vcf', inline: false }]);
    expect(contents.map(String)).toEqual([card]);
  });

  test.each([
    ['application/pkcs7-mime; smime-type=enveloped-data', 'encrypted'],
    ['application/pkcs7-mime; smime-type=signed-data; name=smime.p7m', 'signed'],
    ['application/x-pkcs7-mime; name=smime.p7m', 'encrypted'],
    ['application/octet-stream; name=smime.p7m', 'encrypted'],
  ])('opaque S/MIME: %s is %s', async (type, flag) => {
    const { mail } = await collect(
      lines(head, `Content-Type: ${type}`, 'Content-Transfer-Encoding: base64', '', 'AAAA'),
    );
    expect(mail.attachments).toMatchObject([{ filename: 'smime.p7m', size: 3 }]);
    expect(mail.flags).toMatchObject({ encrypted: flag === 'encrypted', signed: flag === 'signed' });
  });

  test.each(['signed', 'encrypted'] as const)('multipart/%s', async (subtype) => {
    const { mail } = await collect(
      lines(
        head,
        `Content-Type: multipart/${subtype}; boundary=b`,
        '',
        '--b',
        '',
        'text',
        '--b',
        'Content-Type: application/pgp-signature',
        '',
        's',
        '--b--',
      ),
    );
    expect(mail.flags[subtype]).toBe(true);
    expect(mail.text).toBe('text');
    expect(mail.attachments).toHaveLength(1);
  });

  test('what stands in a multipart without delimiters is its text', async () => {
    const { mail } = await collect(lines(head, 'Content-Type: multipart/mixed; boundary=b', '', 'no delimiter at all'));
    expect(mail.text).toBe('no delimiter at all');
    expect(mail.defects).toEqual(['missing-boundary', 'truncated']);
  });

  test('parts after a premature end, and a multipart that is never closed', async () => {
    const again = await collect(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        '',
        'one',
        '--b--',
        '--b',
        '',
        'two',
        '--b--',
      ),
    );
    expect(again.mail.text).toBe('one\ntwo');
    const open = await collect(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: multipart/alternative; boundary=i',
        '',
        '--i',
        '',
        'one',
        '--b',
        'Content-Type: image/png',
        '',
        'two',
        '--b--',
      ),
    );
    expect([open.mail.text, open.contents.map(String)]).toEqual(['one', ['two']]);
  });

  test('one boundary for two levels: what follows the inner end belongs to the outer', async () => {
    const { mail } = await collect(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: multipart/alternative; boundary=b',
        '',
        '--b',
        '',
        'inner',
        '--b--',
        '--b',
        '',
        'outer',
        '--b--',
      ),
    );
    expect([mail.text, mail.attachments, mail.defects]).toEqual(['inner\nouter', [], []]);
  });

  test('an outer boundary that begins like the inner one', async () => {
    const { mail, contents } = await collect(
      lines(
        head,
        'Content-Type: multipart/mixed; boundary=x',
        '',
        '--x',
        'Content-Type: multipart/related; boundary="x--"',
        '',
        '--x--',
        '',
        'in',
        '--x----',
        '--x',
        'Content-Type: image/png',
        '',
        'out',
        '--x--',
      ),
    );
    expect([mail.text, contents.map(String)]).toEqual(['in', ['out']]);
  });
});
