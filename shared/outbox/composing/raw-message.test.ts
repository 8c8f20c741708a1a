import { describe, expect, it } from 'vitest';
import { resolveAccount } from '../../accounts/rules.ts';
import { Refusal } from '../../platform/refusal.ts';
import { CrlfStream, LineCheck, lineMistake, toCrlf } from './crlf-lines.ts';
import { freezeRaw, maxRawBytes } from './raw-message.ts';

const { account } = resolveAccount('corpus', {
  from: 'Corpus <corpus@example.com>',
  allowedFrom: ['*@sales.example.com'],
});
const now = Date.UTC(2026, 0, 2, 3, 4, 5);

/** As it may come over the network: in pieces that heed no line. */
async function* pieces(bytes: Buffer, size = 7): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function frozen(source: AsyncIterable<Uint8Array>, messageId?: string) {
  const options = messageId === undefined ? { now } : { now, messageId };
  const { content, ...rest } = await freezeRaw(source, account, options);
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), ...rest };
}

async function freeze(source: string | Buffer, encoding: BufferEncoding = 'utf8') {
  const bytes = typeof source === 'string' ? Buffer.from(source, encoding) : source;
  return await frozen(pieces(bytes, bytes.length > 100_000 ? 65_536 : 7));
}

async function problemOf(source: string | Buffer, encoding: BufferEncoding = 'utf8'): Promise<Refusal> {
  try {
    await freeze(source, encoding);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const complete = [
  'From: Corpus <corpus@example.com>',
  'To: Ann <a@example.org>,',
  '\tb@example.org',
  'Cc: undisclosed-recipients:;',
  'Bcc: secret@example.org,',
  ' a@example.org',
  'Return-Path: <x@y.example>',
  'Subject: =?utf-8?Q?=C3=BC?=',
  'Message-ID: <given@example.com>',
  'Date: Thu, 01 Jan 2026 00:00:00 +0000',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'Grüße',
  '.',
  'end',
  '',
];

const good = 'From: corpus@example.com\nTo: a@b.example\n';

/** Lacks nothing but recipients. */
const fixed = 'From: corpus@example.com\nDate: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <a@b.example>\n';

describe('freezeRaw', () => {
  it('takes the envelope from the headers, and Bcc out of them', async () => {
    const { bytes, ...rest } = await freeze(complete.join('\r\n'));
    expect(rest).toEqual({
      envelope: { from: 'corpus@example.com', to: ['a@example.org', 'b@example.org', 'secret@example.org'] },
      bcc: ['secret@example.org'],
      messageId: '<given@example.com>',
      headerFrom: 'corpus@example.com',
      date: Date.UTC(2026, 0, 1),
    });
    const kept = complete.filter((line) => !/^(Bcc|Return-Path| a@)/.test(line));
    expect(bytes.toString('utf8')).toBe(kept.join('\r\n'));
  });

  it.each(['\n', '\r'])('makes CRLF of %j', async (end) => {
    const [given, wanted] = await Promise.all([freeze(complete.join(end)), freeze(complete.join('\r\n'))]);
    expect(given.bytes.equals(wanted.bytes)).toBe(true);
  });

  it('adds what is missing', async () => {
    const mail = await freeze('From: x@sales.example.com\nTo: a@example.org\n\nno end');
    expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@sales\.example\.com>$/);
    expect(mail.bytes.toString()).toBe(
      `Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMessage-ID: ${mail.messageId}\r\n` +
        'From: x@sales.example.com\r\nTo: a@example.org\r\n\r\nno end\r\n',
    );
    expect(mail.envelope.from).toBe('corpus@example.com');
    const named = await frozen(pieces(Buffer.from('From: corpus@example.com\nTo: a@b.example\n\n')), '<f@example.com>');
    expect(named.messageId).toBe('<f@example.com>');
  });

  it("takes the account's envelope sender and notifications where the headers name no Sender", async () => {
    const { account: bounced } = resolveAccount('corpus', {
      from: 'corpus@example.com',
      sender: 'bounces@example.net',
      transport: { protocol: 'smtp', host: 'h', dsn: { notify: ['failure'] } },
    });
    const envelopeFor = async (lines: string) =>
      (await freezeRaw(pieces(Buffer.from(lines)), bounced, { now })).envelope;
    const plain = 'From: corpus@example.com\nTo: a@example.org\n\n';
    const dsn = { notify: ['failure'] };
    expect(await envelopeFor(plain)).toEqual({ from: 'bounces@example.net', to: ['a@example.org'], dsn });
    expect((await envelopeFor(`Sender: corpus@example.com\n${plain}`)).from).toBe('corpus@example.com');
  });

  it.each([
    ['Thu, 01 Jan 2026 10:00:00 +0100 (CET)', Date.UTC(2026, 0, 1, 9)],
    ['Tue, 4 Mar 2003 08:00 EST', Date.UTC(2003, 2, 4, 13)],
    // Clocks that are wrong by a day are heard.
    ['Sat, 03 Jan 2026 02:00:00 +0000', Date.UTC(2026, 0, 3, 2)],
    ['Sat, 03 Jan 2026 03:04:05 +0000', Date.UTC(2026, 0, 3, 3, 4, 5)],
    ['Sat, 03 Jan 2026 03:04:06 +0000', now],
    ['Thu, 01 Jan 2037 10:00:00 +0000', now],
    ['Thu, 01 Jan 1970 00:00:00 +0000', 0],
    ['Wed, 31 Dec 1969 10:00:00 +0000', now],
    ['yesterday', now],
    ['', now],
  ])('knows the instant of a Date of %j', async (date, instant) => {
    const mail = await freeze(`From: corpus@example.com\nTo: a@example.org\nDate: ${date}\n\n`);
    expect(mail.date).toBe(instant);
  });

  it('takes the envelope sender from Sender', async () => {
    const mail = await freeze('From: x@sales.example.com\nSender: y@sales.example.com\nBcc: a@example.org');
    expect(mail.envelope).toEqual({ from: 'y@sales.example.com', to: ['a@example.org'] });
    expect(mail.bcc).toEqual(['a@example.org']);
  });

  it.each([
    ['no From', 'To: a@b.example\n\n', ['/from']],
    ['a From not allowed', 'From: evil@example.net\nTo: a@b.example\n\n', ['/from']],
    ['two addresses in From', 'From: corpus@example.com, x@sales.example.com\nTo: a@b.example\n\n', ['/from']],
    ['two From headers', 'From: corpus@example.com\nFrom: x@sales.example.com\nTo: a@b.example\n\n', ['/from']],
    ['a Sender not allowed', 'From: corpus@example.com\nSender: e@evil.example\nTo: a@b.example\n\n', ['/sender']],
    ['two addresses in Sender', `${good}Sender: corpus@example.com, x@sales.example.com\n\n`, ['/sender']],
    ['a broken From', 'From: nobody\nTo: a@b.example\n\n', ['/from']],
    ['an empty From', 'From:\nTo: a@b.example\n\n', ['/from']],
    ['no From beside another mistake', 'To: a@b.example\nSubject: a\nSubject: b\n\n', ['/subject', '/from']],
    ['a broken Reply-To', `${good}Reply-To: nobody\n\n`, ['/replyTo']],
    ['a Message-ID without brackets', `${good}Message-ID: a@b.example\n\n`, ['/message-id']],
    ['a Message-ID with a space', `${good}Message-ID: <a b@c.example>\n\n`, ['/message-id']],
    ['no recipient', 'From: corpus@example.com\n\n', ['/to']],
    ['a broken recipient', 'From: corpus@example.com\nTo: a@b.example\nCc: nobody\n\n', ['/cc']],
    ['several mistakes', 'From: e@evil.example\nTo: nobody\nMessage-ID: x y\n\n', ['/to', '/message-id', '/from']],
    ['raw UTF-8 in a header', 'From: corpus@example.com\nTo: a@b.example\nSubject: ü\n\n', ['/subject']],
    [
      '501 recipients',
      `From: corpus@example.com\nTo: ${Array.from({ length: 501 }, (_, i) => `r${i}@b.example`).join(',\n ')}\n\n`,
      ['/to'],
    ],
  ])('refuses %s', async (_, source, pointers) => {
    const problem = await problemOf(source);
    expect(problem.reason).toBe('invalid');
    expect([...new Set(problem.mistakes?.map((mistake) => mistake.pointer))].sort()).toEqual([...pointers].sort());
  });

  it.each([
    ['From', 'corpus@example.com'],
    ['Sender', 'corpus@example.com'],
    ['Reply-To', 'a@example.org'],
    ['Date', 'Thu, 01 Jan 2026 00:00:00 +0000'],
    ['Message-ID', '<a@b.example>'],
    ['In-Reply-To', '<a@b.example>'],
    ['References', '<a@b.example>'],
    ['Subject', 's'],
  ])('refuses two headers %s', async (name, value) => {
    const { mistakes } = await problemOf(`${good}${name}: ${value}\n${name.toUpperCase()}: ${value}\n\n`);
    expect(mistakes).toContainEqual({ pointer: `/${name.toLowerCase()}`, detail: 'is there more than once' });
  });

  it('says of a broken From what is wrong with it, and no more', async () => {
    const problem = await problemOf('From: nobody\nTo: a@b.example\n\n');
    expect(problem.message).toMatch(/headers/);
    expect(problem.mistakes).toEqual([{ pointer: '/from', detail: expect.stringMatching(/is not an address/) }]);
  });

  it('takes headers of recipients that name nobody', async () => {
    const mail = await freeze('From: corpus@example.com\nTo: a@example.org\nCc:\nBcc: \nReply-To:\n \nSender:\n\n');
    expect(mail.envelope).toEqual({ from: 'corpus@example.com', to: ['a@example.org'] });
    expect(mail.bcc).toEqual([]);
  });

  it('takes a blank before the colon of a header, and leaves no such Bcc in', async () => {
    const { bytes, bcc, envelope } = await freeze(`${fixed}To : a@example.org\nBcc : b@example.org\n\nbody\n`);
    expect(envelope.to).toEqual(['a@example.org', 'b@example.org']);
    expect(bcc).toEqual(['b@example.org']);
    expect(bytes.toString()).toBe(`${fixed}To : a@example.org\n\nbody\n`.replaceAll('\n', '\r\n'));
  });

  it('sends a mail of headers alone as it is', async () => {
    const { bytes } = await freeze(`${fixed}To: a@example.org\nBcc: b@example.org`);
    expect(bytes.toString()).toBe(`${fixed}To: a@example.org\n\n`.replaceAll('\n', '\r\n'));
  });

  it('lets UTF-8 into headers where the envelope needs it anyway', async () => {
    const { bytes } = await freeze('From: corpus@example.com\nTo: ü@b.example\nSubject: ü\n\n');
    expect(bytes.toString()).toContain('Subject: ü\r\n');
  });

  it.each([
    ['nothing', ''],
    ['no headers', '\nbody'],
    ['a line that is no header', `${good}what is this\n\nbody`],
    ['an mbox line', `From corpus Thu Jan 1\n${good}\n`],
    ['a first line that continues', ` x\n${good}\n`],
    ['a line over 998 octets', `${good}\n${'x'.repeat(999)}\n`],
    ['a NUL', `${good}\na\u0000b\n`],
    ['too long a header section', `${good}${'X-A: b\n'.repeat(40_000)}\n`],
    ['too many headers', `${good}${'X: \n'.repeat(1001)}\n`],
  ])('refuses %s', async (_, source) => {
    expect((await problemOf(source)).reason).toBe('invalid');
  });

  it('refuses bytes that are no text in the headers, and lets them be in the body', async () => {
    expect((await problemOf(`${good}Subject: \u00e9\n\n`, 'latin1')).reason).toBe('invalid');
    expect((await freeze(`${good}\n\u00e9\n`, 'latin1')).bytes.at(-3)).toBe(0xe9);
  });

  it('replaces no bytes that are no text where headers may hold UTF-8', async () => {
    const headers = Buffer.from('From: corpus@example.com\nTo: ü@b.example\nSubject: ');
    const problem = await problemOf(Buffer.concat([headers, Buffer.from([0xe9]), Buffer.from('\n\n')]));
    expect(problem).toMatchObject({ reason: 'invalid', message: expect.stringMatching(/UTF-8/) });
  });

  it('passes 256 KiB of headers on as they are, and refuses more', async () => {
    // 512 headers of 512 octets; the pieces end where the headers do.
    const first = `${fixed}To: a@b.example\nX-A: `.replaceAll('\n', '\r\n');
    const headers = (more: number) =>
      `${first}${'x'.repeat(512 - first.length - 2 + more)}\r\n${`X-B: ${'x'.repeat(505)}\r\n`.repeat(511)}`;
    const mail = `${headers(0)}\r\nbody\r\n`;
    expect(headers(0)).toHaveLength(256 * 1024);
    expect((await freeze(mail)).bytes.equals(Buffer.from(mail))).toBe(true);
    const problem = await problemOf(`${headers(1)}\r\nbody\r\n`);
    expect(problem).toMatchObject({ reason: 'invalid', message: expect.stringMatching(/262144/) });
    // Wherever the network cuts them.
    for (const more of [-1, 0, 1, 2, 3]) {
      const at = 256 * 1024 + more;
      const pieces = (async function* () {
        yield Buffer.from(mail).subarray(0, at);
        yield Buffer.from(mail).subarray(at);
      })();
      await expect(frozen(pieces), `cut at ${more}`).resolves.toBeDefined();
    }
  });

  it('says that nothing came', async () => {
    expect((await problemOf('')).message).toMatch(/empty/);
  });

  it('takes long names in encoded words', async () => {
    const name = Array.from({ length: 30 }, () => '=?utf-8?Q?=F0=9F=98=80=F0=9F=98=80?=').join('\n ');
    const mail = await freeze(`From: corpus@example.com\nTo: ${name} <a@b.example>\n\n`);
    expect(mail.envelope.to).toEqual(['a@b.example']);
  });

  it('takes lines of 998 octets', async () => {
    expect((await freeze(`${good}\n${'x'.repeat(998)}\n`)).bytes.length).toBeGreaterThan(998);
  });

  it('refuses what is too large', async () => {
    const line = Buffer.from(`${'x'.repeat(70)}\r\n`);
    async function* tooMuch() {
      yield Buffer.from(`${good}\n`);
      const chunk = Buffer.concat(Array.from({ length: 10_000 }, () => line));
      for (let size = 0; size <= maxRawBytes; size += chunk.length) yield chunk;
    }
    await expect(frozen(tooMuch())).rejects.toMatchObject({ reason: 'tooLarge' });
  });

  it('does not repeat contents', async () => {
    expect(JSON.stringify(await problemOf(`${good}hunter2\n\n`))).not.toContain('hunter2');
  });
});

describe('lines', () => {
  it.each([
    ['', ''],
    ['a\nb', 'a\r\nb'],
    ['a\rb', 'a\r\nb'],
    ['a\r\nb', 'a\r\nb'],
    ['\n\r\r\n\n', '\r\n\r\n\r\n\r\n'],
    ['\r', '\r\n'],
    ['\n', '\r\n'],
  ])('of %j become %j', (before, after) => {
    expect(toCrlf(Buffer.from(before)).toString()).toBe(after);
    expect(lineMistake(Buffer.from(after))).toBeUndefined();
  });

  it.each([['a\r\n'], ['a\r\nb\r\n'], ['a\r', '\n']])('that have their end get no other: %j', (...chunks) => {
    const ends = new CrlfStream();
    const passed = [...chunks, ''].map((chunk) => ends.push(Buffer.from(chunk)).toString()).join('');
    expect(passed + ends.end().toString()).toBe(chunks.join(''));
  });

  it('get the end they lack, whatever pieces they come in', () => {
    const ends = new CrlfStream();
    const passed = ['a', '', '\r', '', 'b', ''].map((chunk) => ends.push(Buffer.from(chunk)).toString()).join('');
    expect(passed + ends.end().toString()).toBe('a\r\nb\r\n');
  });

  it('are named by their number where they are wrong', () => {
    expect(lineMistake(Buffer.from('a\r\nb\r\nc\u0000'))).toBe('line 3 holds a NUL');
  });

  it('are checked over the edges of chunks', () => {
    const check = new LineCheck();
    expect(check.push(Buffer.from('a\r'))).toBeUndefined();
    expect(check.push(Buffer.from('\n'))).toBeUndefined();
    expect(check.push(Buffer.alloc(600, 'x'))).toBeUndefined();
    expect(check.push(Buffer.alloc(398, 'x'))).toBeUndefined();
    expect(check.push(Buffer.from('\r\n.'))).toBeUndefined();
    expect(check.push(Buffer.from('\n'))).toMatch(/without CR/);
    expect(lineMistake(Buffer.from('a\rb'))).toMatch(/CR/);
    expect(lineMistake(Buffer.alloc(999, 'x'))).toMatch(/998/);
  });
});
