import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { random } from '../../../test/support/mails.ts';
import { never } from '../../../test/support/store-helpers.ts';
import { Body } from './body.ts';
import { Progress } from './checkpoint.ts';
import { LineSocket } from './line-socket.ts';
import type { Entry } from './maildrop.ts';
import { receivedTime } from './received.ts';
import { parseReply, parseUidl } from './replies.ts';
import { decodeItem, encodeItem } from './source-id.ts';

/** A socket whose other end writes `pieces`, each in a packet of its own. */
async function withLines<T>(pieces: readonly Buffer[], work: (lines: LineSocket) => Promise<T>): Promise<T> {
  const server = createServer((socket: Socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    void (async () => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const socket = connectTcp(typeof address === 'object' && address ? address.port : 0, '127.0.0.1');
  await once(socket, 'connect');
  const lines = new LineSocket(socket, 2_000);
  try {
    return await work(lines);
  } finally {
    lines.destroy();
    server.close();
  }
}

async function bodyOf(sent: Buffer, cutAt: readonly number[], expected?: number) {
  const cuts = [0, ...cutAt, sent.length];
  const pieces = cuts.slice(1).map((end, n) => sent.subarray(cuts[n], end));
  return withLines(pieces, async (lines) => {
    const body = new Body(lines, 'a test', expected);
    const parts: Buffer[] = [];
    for (let part = await body.next(never); part; part = await body.next(never)) parts.push(part);
    return { text: Buffer.concat(parts).toString('latin1'), rest: await lines.line('the rest', never) };
  });
}

describe('the octets of a multi-line answer', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['lines', 'one\r\ntwo\r\n.\r\n', 'one\r\ntwo\r\n'],
    ['nothing', '.\r\n', ''],
    ['an empty line', '\r\n.\r\n', '\r\n'],
    ['stuffed dots', '..\r\n...x\r\n.\r\n', '.\r\n..x\r\n'],
    ['a dot inside a line', 'a.b\r\n.\r\n', 'a.b\r\n'],
    ['bare line feeds before dots', 'a\n.\nb\n..c\r\n.\r\n', 'a\n.\nb\n..c\r\n'],
    ['bare carriage returns', 'a\r.\rb\r\r\n.\r\n', 'a\r.\rb\r\r\n'],
    ['a stuffed dot and a bare carriage return', '..\rx\r\n.\r\n', '.\rx\r\n'],
    ['a dot alone that was not stuffed but goes on', '.\rx\r\n.\r\n', '\rx\r\n'],
  ];
  it.each(cases)('%s, wherever they are cut', async (_, sent, expected) => {
    const bytes = Buffer.from(`${sent}+OK next\r\n`, 'latin1');
    for (let at = 0; at <= sent.length; at += 1) {
      expect(await bodyOf(bytes, [at])).toEqual({ text: expected, rest: '+OK next' });
    }
  });

  it('leaves out the line end that RETR adds to a mail stored without one, where LIST says', async () => {
    const bytes = Buffer.from('abc\r\ndef\r\n.\r\n+OK next\r\n');
    expect((await bodyOf(bytes, [], 8)).text).toBe('abc\r\ndef');
    expect((await bodyOf(bytes, [9], 10)).text).toBe('abc\r\ndef\r\n');
    expect((await bodyOf(bytes, [10], 7)).text).toBe('abc\r\ndef\r\n');
  });

  it('a mail cannot end its own answer (trap: the rest of it is taken for the answers to the next commands)', async () => {
    const forged = 'text\n.\n+OK forged\r\n.\n\r\n.\r\n';
    const { text, rest } = await bodyOf(Buffer.from(`${forged}+OK real\r\n`, 'latin1'), []);
    expect(text).toBe('text\n.\n+OK forged\r\n\n\r\n');
    expect(rest).toBe('+OK real');
  });
});

describe('answers', () => {
  it.each([
    ['+OK', { status: 'ok', text: '' }],
    ['+OK 2 320', { status: 'ok', text: '2 320' }],
    ['-ERR [sys/temp] later', { status: 'error', code: 'SYS/TEMP', text: 'later' }],
    ['-ERR [LOGIN-DELAY 30] later', { status: 'error', code: 'LOGIN-DELAY', text: 'later' }],
    ['+ dGVzdA==', { status: 'more', text: 'dGVzdA==' }],
    ['+', { status: 'more', text: '' }],
    ['* OK IMAP4rev1 ready', undefined],
    ['220 mail.example.com ESMTP', undefined],
    ['+OKAY', undefined],
    ['', undefined],
  ])('%j', (line, expected) => {
    expect(parseReply(line)).toEqual(expected);
  });

  it.each([
    ['1 whqtswO00WBw418f9t5JxYwZ', { number: 1, uidl: 'whqtswO00WBw418f9t5JxYwZ' }],
    [`3 ${'u'.repeat(120)}`, { number: 3, uidl: 'u'.repeat(120) }],
    [`3 ${'u'.repeat(501)}`, { number: 3, uidl: '' }],
    ['7', { number: 7, uidl: '' }],
    ['7 a\u007fb', { number: 7, uidl: '' }],
    ['0 zero', undefined],
    ['x y', undefined],
  ])('a line of UIDL: %j', (line, expected) => {
    expect(parseUidl(line)).toEqual(expected);
  });

  it('source ids survive the way there and back, whatever a UIDL holds', () => {
    const sha256 = 'a'.repeat(64);
    for (const name of [{ uidl: 'a#b;c=20=' }, { uidl: 'x', sha256 }, { uidl: '', sha256 }]) {
      expect(decodeItem(encodeItem(name))).toEqual(name);
    }
    expect(decodeItem('')).toBeUndefined();
    expect(decodeItem('x y')).toBeUndefined();
  });

  it.each([
    [
      'Received: from a by b; Thu, 01 Jan 2026 10:00:00 +0100 (CET)\r\nReceived: old; Mon, 1 Jan 2001 00:00:00 +0000\r\n',
      '2026-01-01T09:00:00.000Z',
    ],
    [
      'Return-Path: <a@b>\r\nReceived: from a\r\n\tby b (c; d)\r\n\tid 1;\r\n\t2 Feb 2026 03:04:05 -0000\r\n',
      '2026-02-02T03:04:05.000Z',
    ],
    ['Received: without a time\r\n', undefined],
    ['Received: from a; never\r\n', undefined],
    ['Date: Thu, 01 Jan 2026 10:00:00 +0100\r\n', undefined],
  ])('the time of arrival is that of the topmost Received field, never the sender’s date: %j', (header, expected) => {
    const time = receivedTime(Buffer.from(header));
    expect(time === undefined ? undefined : new Date(time).toISOString()).toBe(expected);
  });
});

describe('the checkpoint', () => {
  const once: (uidl: string) => boolean = () => true;
  const listing = (count: number, seed = 1): Entry[] => {
    const next = random(seed);
    return Array.from({ length: count }, (_, n) => ({ number: n + 1, uidl: `${n}-${Math.floor(next() * 1e9)}` }));
  };
  const renumbered = (entries: readonly Entry[]) => entries.map(({ uidl }, n) => ({ number: n + 1, uidl }));
  const finished = (entries: readonly Entry[], distinct = once) => {
    const progress = new Progress(entries, distinct, undefined);
    progress.pass(entries);
    return progress.checkpoint();
  };
  const todo = (entries: readonly Entry[], checkpoint: ReturnType<typeof finished>, distinct = once) =>
    new Progress(renumbered(entries), distinct, checkpoint).todo.map(({ uidl }) => uidl);

  it.each([0, 1, 40, 3_000, 50_000])('knows all of %i mails, in a row that stays small', (count) => {
    const entries = listing(count);
    const checkpoint = finished(entries);
    expect(todo(entries, checkpoint)).toEqual([]);
    expect(JSON.stringify(checkpoint).length).toBeLessThan(24_000);
  });

  it('brings the new mail alone at the end, and nothing where others went from there', () => {
    const entries = listing(2_000);
    const checkpoint = finished(entries);
    const fresh = { number: 0, uidl: 'fresh' };
    expect(todo([...entries, fresh], checkpoint)).toEqual(['fresh']);
    expect(todo(entries.slice(0, -30), checkpoint)).toEqual([]);
    expect(todo([...entries.slice(0, -30), fresh], checkpoint)).toEqual(['fresh']);
  });

  it('asks for little again where a mail came or went in the middle, or the order is another', () => {
    const entries = listing(5_000);
    const checkpoint = finished(entries);
    const without = entries.filter((_, n) => n !== 1_234);
    expect(todo(without, checkpoint).length).toBeLessThan(400);
    const between = [...entries.slice(0, 700), { number: 0, uidl: 'fresh' }, ...entries.slice(700)];
    expect(todo(between, checkpoint)).toContain('fresh');
    expect(todo(between, checkpoint).length).toBeLessThan(400);
    expect(new Set(todo([...entries].reverse(), checkpoint)).size).toBeLessThanOrEqual(5_000);
  });

  it('never passes over a mail it has not seen, whatever comes and goes', () => {
    const next = random(7);
    let entries = listing(300, 8);
    let known = new Set(entries.map(({ uidl }) => uidl));
    let checkpoint = finished(entries);
    for (let round = 0; round < 60; round += 1) {
      entries = renumbered(entries.filter(() => next() > 0.1));
      for (let more = Math.floor(next() * 12); more > 0; more -= 1) {
        entries.splice(Math.floor(next() * (entries.length + 1)), 0, { number: 0, uidl: `r${round}-${more}` });
      }
      entries = renumbered(entries);
      const progress = new Progress(entries, once, checkpoint);
      const listed = new Set(progress.todo.map(({ uidl }) => uidl));
      expect(entries.filter(({ uidl }) => !known.has(uidl) && !listed.has(uidl))).toEqual([]);
      // A run that ends half-way keeps what it has done, and nothing else.
      const done = progress.todo.slice(0, Math.ceil(progress.todo.length / 2));
      progress.pass(done);
      const seen = new Set(done.map(({ uidl }) => uidl));
      known = new Set(entries.map(({ uidl }) => uidl).filter((uidl) => seen.has(uidl) || !listed.has(uidl)));
      checkpoint = progress.checkpoint();
    }
  });

  it('believes nothing of a UIDL that several mails have, or none', () => {
    const twice = [
      { number: 1, uidl: 'x' },
      { number: 2, uidl: 'x' },
      { number: 3, uidl: 'y' },
    ];
    const distinct = (uidl: string) => uidl !== 'x';
    const checkpoint = finished(twice, distinct);
    expect(todo([...twice, { number: 4, uidl: 'z' }], checkpoint, distinct)).toEqual(['x', 'x', 'z']);
    const none = [{ number: 1, uidl: '' }];
    expect(
      todo(
        none,
        finished(none, () => false),
        () => false,
      ),
    ).toEqual(['']);
  });

  it('takes a checkpoint that is none for none', () => {
    expect(todo(listing(3), { chunks: 7, tail: 'short' })).toHaveLength(3);
  });
});
