import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { frozenMail } from '../../../../test/contract/transport.contract.ts';
import { memoryInUse } from '../../../../test/support/memory-in-use.ts';
import { never } from '../../../../test/support/store-helpers.ts';
import type { FrozenMail } from '../../transport.ts';
import { detachedContents, divideMail, MailTooLarge } from './detach.ts';
import { PartScanner } from './part-scanner.ts';

const limit = 20_000;

function lines(...text: readonly string[]): string {
  return text.map((line) => `${line}\r\n`).join('');
}

/** A mail from its text; its pieces are as small as the test wants them. */
function mailOf(text: string | Buffer, piece = 4_099): FrozenMail {
  const bytes = Buffer.from(text);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  return { ...frozenMail(), size: bytes.length, open: async () => Readable.from(pieces()) };
}

const octets = (size: number, seed: number) =>
  Buffer.from(Array.from({ length: size }, (_, index) => (index * 31 + seed * 7 + (index >> 8)) & 0xff));

const encoded = (bytes: Buffer) => (bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n');

const [report, photo, logo] = [octets(30_000, 1), octets(40_001, 2), octets(25_000, 3)];

const small = lines(
  '--mixed',
  'Content-Type: text/calendar; charset=utf-8; method=REQUEST',
  'Content-Disposition: attachment; filename=invite.ics',
  '',
  'BEGIN:VCALENDAR',
);

const rich = [
  lines(
    'From: corpus@example.com',
    'To: anna@example.org',
    'Reply-To: answers@example.com',
    'Subject: a large one',
    'Content-Type: multipart/mixed; boundary="mixed"',
    '',
    'A preamble.',
    '--mixed',
    'Content-Type: multipart/related; boundary=related',
    '',
    '--related',
    'Content-Type: multipart/alternative; boundary=alternative',
    '',
    '--alternative',
    'Content-Type: text/plain',
    '',
    '--not a delimiter',
    'plain',
    '--alternative',
    'Content-Type: text/html',
    '',
    '<img src="cid:logo">',
    '--alternative--',
    '--related',
    'Content-Type: image/png; name=logo.png',
    'Content-ID: <logo>',
    'Content-Disposition: inline; filename=logo.png',
    'Content-Transfer-Encoding: base64',
    '',
    encoded(logo),
    '--related--',
  ),
  small,
  lines(
    '--mixed',
    "Content-Type: application/pdf; name*=utf-8''Bericht%20%C3%BC.pdf",
    "Content-Disposition: attachment; filename*=utf-8''Bericht%20%C3%BC.pdf",
    'Content-Transfer-Encoding: base64',
    '',
    encoded(report),
    '--mixed',
    'Content-Type: image/jpeg',
    'Content-Disposition: attachment',
    'Content-Transfer-Encoding: base64',
    '',
    encoded(photo),
    '--mixed--',
    'An epilogue.',
  ),
].join('');

async function contentsOf(mail: FrozenMail, detached: Awaited<ReturnType<typeof divideMail>>['detached']) {
  const contents = new Map<string, Buffer>();
  for await (const { part, bytes } of detachedContents(mail, detached, never)) {
    contents.set(part.name, Buffer.concat([contents.get(part.name) ?? Buffer.alloc(0), bytes]));
  }
  return contents;
}

describe('PartScanner', () => {
  it.each([1, 2, 7, 100, 1_000_000])('loses no byte of a mail in pieces of %i', (piece) => {
    const scanner = new PartScanner();
    const bytes = Buffer.from(rich);
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += piece) {
      out.push(...scanner.push(bytes.subarray(at, at + piece)).map((each) => Buffer.from(each.bytes)));
    }
    out.push(...scanner.end().map((each) => each.bytes));
    expect(Buffer.concat(out).equals(bytes)).toBe(true);
  });
});

describe('divideMail', () => {
  it.each([3, 4_099, 1_000_000])('takes out the largest attachments, byte for byte, in pieces of %i', async (piece) => {
    const mail = mailOf(rich, piece);
    const { text, detached } = await divideMail(mail, limit, never);
    expect(
      detached.map(({ name, contentType, contentId, inline, size }) => [name, contentType, contentId, inline, size]),
    ).toEqual([
      ['logo.png', 'image/png', 'logo', true, 25_000],
      ['Bericht ü.pdf', 'application/pdf', undefined, false, 30_000],
      ['attachment-6', 'image/jpeg', undefined, false, 40_001],
    ]);
    const contents = await contentsOf(mail, detached);
    expect(contents.get('logo.png')?.equals(logo)).toBe(true);
    expect(contents.get('Bericht ü.pdf')?.equals(report)).toBe(true);
    expect(contents.get('attachment-6')?.equals(photo)).toBe(true);
    const kept = text.toString();
    for (const line of ['Reply-To: answers@example.com', 'plain', '<img src="cid:logo">', 'An epilogue.']) {
      expect(kept).toContain(line);
    }
    expect(kept).toContain(small);
    expect(kept).toMatch(/--related--\r\n--mixed\r\nContent-Type: text\/calendar/);
    expect(text.length).toBeLessThan(2_000);
  });

  it('takes out no more than it has to', async () => {
    const { detached } = await divideMail(mailOf(rich), 100_000, never);
    expect(detached.map(({ name }) => name)).toEqual(['attachment-6']);
  });

  it('leaves a text where a multipart would be empty', async () => {
    const alone = lines(
      'Content-Type: multipart/mixed; boundary=m',
      '',
      '--m',
      'Content-Type: application/pdf',
      'Content-Transfer-Encoding: base64',
      '',
      encoded(report),
      '--m--',
    );
    const { text, detached } = await divideMail(mailOf(alone), limit, never);
    expect(detached).toHaveLength(1);
    expect(text.toString()).toBe(
      lines(
        'Content-Type: multipart/mixed; boundary=m',
        '',
        '--m',
        'Content-Type: text/plain; charset=us-ascii',
        '',
        '',
        '--m--',
      ),
    );
  });

  it('keeps the bytes of an attachment that is not encoded, without the line end of the delimiter', async () => {
    const body = 'x'.repeat(997);
    const content = `${`${body}\r\n`.repeat(40)}no line end`;
    const text = lines('Content-Type: multipart/mixed; boundary=m', '', '--m', 'Content-Type: application/x-raw', '');
    const mail = mailOf(`${text}${content}\r\n--m--\r\n`, 11);
    const { detached } = await divideMail(mail, limit, never);
    expect((await contentsOf(mail, detached)).get('attachment-1')?.toString()).toBe(content);
  });

  it.each([
    ['a text that is large itself', lines('Content-Type: text/plain', '', ...Array(400).fill('y'.repeat(76)))],
    [
      'a part whose signature would break',
      lines(
        'Content-Type: multipart/signed; boundary=s; protocol="application/pkcs7-signature"',
        '',
        '--s',
        'Content-Type: multipart/mixed; boundary=m',
        '',
        '--m',
        'Content-Type: application/pdf',
        'Content-Transfer-Encoding: base64',
        '',
        encoded(report),
        '--m--',
        '--s--',
      ),
    ],
    [
      'an alternative that is large',
      lines(
        'Content-Type: multipart/alternative; boundary=a',
        '',
        '--a',
        '',
        ...Array(400).fill('y'.repeat(76)),
        '--a--',
      ),
    ],
  ])('refuses %s', async (_, text) => {
    const error = await divideMail(mailOf(text), limit, never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MailTooLarge);
  });

  it('holds little of a mail of 80 MB', async () => {
    const line = Buffer.from(`${'QUJD'.repeat(19)}\r\n`);
    const block = Buffer.concat(Array<Buffer>(840).fill(line));
    const blocks = Math.ceil(80_000_000 / block.length);
    const head = Buffer.from(
      lines(
        'Content-Type: multipart/mixed; boundary=m',
        '',
        '--m',
        '',
        'Hi',
        '--m',
        'Content-Type: application/pdf',
        'Content-Transfer-Encoding: base64',
        '',
      ),
    );
    const tail = Buffer.from(lines('--m--'));
    async function* pieces() {
      yield head;
      for (let index = 0; index < blocks; index++) yield Buffer.from(block);
      yield tail;
    }
    const size = head.length + blocks * block.length + tail.length;
    const mail = { ...frozenMail(), size, open: async () => Readable.from(pieces()) };
    const before = memoryInUse();
    let [most, looked] = [0, 0];
    const { detached } = await divideMail(mail, 3_000_000, never);
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of detachedContents(mail, detached, never)) {
      hash.update(chunk.bytes);
      bytes += chunk.bytes.length;
      if (bytes < looked + 10_000_000) continue;
      looked = bytes;
      most = Math.max(most, memoryInUse() - before);
    }
    expect(bytes).toBe(detached[0]?.size);
    expect(bytes).toBe(blocks * 840 * 57);
    expect(looked).toBeGreaterThan(0);
    expect(most).toBeLessThan(30_000_000);
  });
});
