import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { collect, head, inChunks, lines } from './collect.test-support.ts';
import { EmptyMailError } from './mail.ts';
import { readMime } from './read-mime.ts';

/** Enough for a busy machine; a reader that is not linear needs minutes. */
const SECONDS = 90_000;

describe('trap 8: an empty mail is a failed fetch', () => {
  test.each(['', '\r\n', ' \n\t\r\n', '\n'.repeat(200_000)])('%.20j', async (text) => {
    await expect(collect(text)).rejects.toThrow(EmptyMailError);
    await expect(collect(inChunks(Buffer.from(text), 1_000))).rejects.toThrow(EmptyMailError);
  });
});

describe('trap 27: what is missing or broken is a defect', () => {
  test('everything missing', async () => {
    const { mail } = await collect('X: y\r\n');
    expect(mail.defects).toEqual([
      'missing-body',
      'missing-date',
      'missing-from',
      'missing-message-id',
      'missing-subject',
    ]);
  });

  test('no header at all: it is text', async () => {
    expect((await collect('just a text\nof two lines')).mail.text).toBe('just a text\nof two lines');
  });

  test('the line of an mbox file, and a line that is no field', async () => {
    const { mail } = await collect(
      lines('From ann Mon Jan  2 15:04:05 2006', head, 'no field here', 'Cc: c@x.example', '', 'x'),
    );
    expect([mail.subject, mail.cc.length, mail.text]).toEqual(['Hello', 1, 'x']);
    expect(mail.defects).toEqual(['malformed-header']);
  });

  test('a broken date, a multipart without boundary, NUL bytes', async () => {
    const date = await collect('From: a@b\r\nDate: Pn, 29 paX 2007\r\n\r\nx');
    expect(date.mail.defects).toContain('invalid-date');
    const boundary = await collect(lines(head, 'Content-Type: multipart/mixed', '', '--x', '', 'still here'));
    expect(boundary.mail.text).toContain('still here');
    expect(boundary.mail.defects).toEqual(['missing-boundary']);
    const nul = await collect(lines(head.replace('Hello', 'He\0llo'), '', 'a\0b'));
    expect([nul.mail.subject, nul.mail.text, nul.mail.defects]).toEqual(['Hello', 'ab', ['nul-bytes']]);
  });

  const structured = lines(
    head,
    'Content-Type: multipart/mixed;',
    '\tboundary=b',
    '',
    '--b',
    '',
    'one',
    '',
    '--b',
    'Content-Type: application/pdf; name=a.pdf',
    'Content-Transfer-Encoding: base64',
    '',
    'QUJD',
    '--b--',
    '',
  );
  test.each([
    ['CRLF', structured],
    ['LF', structured.replaceAll('\r\n', '\n')],
    ['CR', structured.replaceAll('\r\n', '\r')],
    ['CRCRLF', structured.replaceAll('\r\n', '\r\r\n')],
    ['CRLF in the header, LF in the body', head + structured.slice(head.length).replaceAll('\r\n', '\n')],
    ['LF in the header, CRLF in the body', head.replaceAll('\r\n', '\n') + structured.slice(head.length)],
  ])('line ends: %s, in chunks of any size', async (_name, text) => {
    for (const size of [1, 2, 5, 1_000]) {
      const { mail, contents } = await collect(inChunks(Buffer.from(text), size));
      expect(mail.subject).toBe('Hello');
      expect(mail.text?.trimEnd()).toBe('one');
      expect(contents.map(String)).toEqual(['ABC']);
      expect(mail.defects).toEqual([]);
    }
  });
});

describe('trap 27: limits, in bounded time', { timeout: SECONDS }, () => {
  test('100,000 recipients: the first 1,000, and the fields behind them', async () => {
    const to = Array.from({ length: 100_000 }, (_, index) => `user${index}@example.com`).join(',\r\n ');
    const { mail } = await collect(lines(`To: ${to}`, 'From: a@b.example', 'Subject: behind', '', 'x'));
    expect(mail.to).toHaveLength(1_000);
    expect(mail.to[999]?.address).toBe('user999@example.com');
    expect(mail.subject).toBe('behind');
    expect(mail.defects).toEqual(expect.arrayContaining(['too-many-addresses', 'header-too-large']));
  });

  test('a header of 50 MB does not hide what follows it', async () => {
    const filler = Buffer.from('X-Filler: nothing to see\r\n'.repeat(2_500));
    const source = Readable.from(
      (function* () {
        for (let sent = 0; sent < 50_000_000; sent += filler.length) yield filler;
        yield Buffer.from(lines(head, '', 'body'));
      })(),
    );
    const { mail } = await collect(source);
    expect([mail.subject, mail.text, mail.defects]).toEqual(['Hello', 'body', ['header-too-large']]);
  });

  test('10,000 multiparts in each other: the first levels, the rest as one attachment', async () => {
    const levels = Array.from({ length: 10_000 }, (_, level) =>
      lines(`Content-Type: multipart/mixed; boundary=b${level}`, '', `--b${level}`),
    );
    const { mail } = await collect(lines(head, ...levels, '', 'the bottom'));
    expect(mail.attachments).toMatchObject([{ contentType: 'multipart/mixed' }]);
    expect(mail.defects).toContain('too-deep');
  });

  test('10,000 messages in each other are one attachment', async () => {
    const { mail } = await collect(lines(head, 'Content-Type: message/rfc822\r\n\r\n'.repeat(10_000), 'x'));
    expect(mail.attachments).toHaveLength(1);
  });

  test('100,000 parts: the first 1,000 and the rest as one attachment, no byte less', async () => {
    const each = '--b\r\nContent-Type: image/png\r\n\r\nx\r\n';
    const { mail, contents } = await collect(
      lines(head, 'Content-Type: multipart/mixed; boundary=b', '', each.repeat(100_000)),
    );
    expect(mail.attachments).toHaveLength(1_001);
    expect(contents.at(-1)?.toString()).toBe(`${each.slice(5)}${each.repeat(98_999)}`);
    expect(mail.defects).toContain('too-many-parts');
  });

  test.each(['\r\n--', '--', '\r\n--b ', '\r', '\n', '\r\n--b-', '=?a?q?', '('])(
    'a body and a header of nothing but %j',
    async (piece) => {
      const many = piece.repeat(Math.ceil(4_000_000 / piece.length));
      const { mail } = await collect(
        lines(head, 'Content-Type: multipart/mixed; boundary=bb', '', '--bb', '', many, '--bb--'),
      );
      expect(mail.subject).toBe('Hello');
      await collect(lines(`Content-Type: ${many}`, `To: ${many}`, `Subject: ${many}`, `Date: ${many}`, '', 'x'));
    },
  );
});

describe('the sink and the source', () => {
  const attachment = lines(head, 'Content-Type: application/zip', '', 'x'.repeat(500_000));
  const none = { attachment: async () => {}, longBody: async () => {} };

  test("the sink's error comes out, and the source is destroyed", async () => {
    const source = inChunks(Buffer.from(attachment), 10_000);
    const failing = { ...none, attachment: () => Promise.reject(new Error('no room')) };
    await expect(readMime(source, failing)).rejects.toThrow('no room');
    expect(source.destroyed).toBe(true);
  });

  test('a part that the sink left unread is an error, not a short attachment', async () => {
    await expect(readMime(Buffer.from(attachment), none)).rejects.toThrow('did not read');
    await expect(readMime(Buffer.from(lines(head, 'Content-Type: a/b', '', 'x')), none)).rejects.toThrow(
      'did not read',
    );
  });

  test("the source's error comes out, and cuts what the sink is reading", async () => {
    const source = Readable.from(
      (async function* () {
        yield Buffer.from(attachment);
        throw new Error('line dropped');
      })(),
    );
    let cut: unknown;
    const sink = {
      ...none,
      attachment: async (_part: unknown, content: Readable) => {
        try {
          for await (const _ of content);
        } catch (error) {
          cut = error;
          throw error;
        }
      },
    };
    await expect(readMime(source, sink)).rejects.toThrow('line dropped');
    await expect.poll(() => cut).toMatchObject({ message: 'line dropped' });
  });

  test.each(['source', 'sink'])('an abort ends the reading though the %s is silent for ever', async (silent) => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const source = silent === 'source' ? new Readable({ read: () => {} }) : inChunks(Buffer.from(attachment), 10_000);
    const sink = { ...none, attachment: () => new Promise<void>(() => {}) };
    const reading = readMime(source, sink, { signal: stop.signal });
    setImmediate(() => stop.abort(reason));
    await expect(reading).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
  });

  test('a signal that is aborted already: nothing is read', async () => {
    const source = inChunks(Buffer.from(attachment), 10_000);
    await expect(readMime(source, none, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    expect(source.destroyed).toBe(true);
    await expect(readMime(Buffer.from('a: b'), none, { signal: AbortSignal.abort() })).rejects.toThrow();
  });

  test('a slow sink is waited for: the reader does not run ahead', async () => {
    let sent = 0;
    const source = Readable.from(
      (function* () {
        yield Buffer.from(lines(head, 'Content-Type: application/zip', '', ''));
        for (; sent < 20_000_000; sent += 65_536) yield Buffer.alloc(65_536, 'x');
      })(),
      { highWaterMark: 1 },
    );
    let ahead = 0;
    let got = 0;
    let chunks = 0;
    await readMime(source, {
      ...none,
      attachment: async (_part, content) => {
        for await (const chunk of content) {
          // Before this chunk counts: a stream hands over all it holds as one.
          ahead = Math.max(ahead, sent - got);
          if (Buffer.isBuffer(chunk)) got += chunk.length;
          if (++chunks % 20 === 0) await wait(2);
        }
      },
    });
    expect(got).toBeGreaterThanOrEqual(20_000_000);
    expect(ahead).toBeLessThan(1_000_000);
  });
});
