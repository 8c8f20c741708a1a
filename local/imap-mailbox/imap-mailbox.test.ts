import { once } from 'node:events';
import { connect } from 'node:net';
import { ImapFlow, type ImapFlowOptions } from 'imapflow';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeCertificate } from '../certificate.ts';
import { type ImapMailbox, startImapMailbox } from './imap-mailbox.ts';

const certificate = await makeCertificate();
const cleanups: (() => unknown)[] = [];
let server: ImapMailbox;

beforeEach(async () => {
  server = await startImapMailbox({ accounts: [{ user: 'corpus', password: 'secret' }], certificate });
  cleanups.push(() => server.stop());
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function mail(subject: string, text = 'text'): Buffer {
  return Buffer.from(
    `From: "Doe, Jane" <jane@example.com>\r\nTo: corpus@example.com\r\nSubject: ${subject}\r\n` +
      `Message-ID: <${subject}@example.com>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n${text}\r\n`,
  );
}

async function client(options: Partial<ImapFlowOptions> = {}): Promise<ImapFlow> {
  const flow = new ImapFlow({
    host: 'localhost',
    port: server.port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: 'corpus', pass: 'secret' },
    logger: false,
    ...options,
  });
  flow.on('error', () => undefined);
  await flow.connect();
  cleanups.push(() => flow.close());
  return flow;
}

const uids = () => server.mails('corpus').map((one) => one.uid);

test('ImapFlow signs in, lists, and reads mail byte for byte', async () => {
  const receivedAt = Date.UTC(2026, 10, 20, 8, 30, 15);
  server.deliver('corpus', mail('first'), { receivedAt });
  server.deliver('corpus', mail('second', 'x'.repeat(300_000)), { flags: ['\\Seen'] });
  const flow = await client();
  const folders = await flow.list();
  expect(folders.find((folder) => folder.specialUse === '\\Trash')?.path).toBe('Trash');
  expect(await flow.status('INBOX', { messages: true, unseen: true, uidNext: true })).toMatchObject({
    messages: 2,
    unseen: 1,
    uidNext: 3,
  });
  await flow.mailboxOpen('INBOX', { readOnly: true });
  const fields = { uid: true, flags: true, size: true, internalDate: true, envelope: true, source: true } as const;
  const found = await flow.fetchAll('1:*', fields, { uid: true });
  expect(found.map((one) => [one.uid, [...(one.flags ?? [])], one.size])).toEqual([
    [1, [], mail('first').length],
    [2, ['\\Seen'], mail('second', 'x'.repeat(300_000)).length],
  ]);
  expect(found[0]?.source).toEqual(mail('first'));
  expect(found[0]?.internalDate).toEqual(new Date(receivedAt));
  expect(found[0]?.envelope).toMatchObject({
    subject: 'first',
    messageId: '<first@example.com>',
    from: [{ name: 'Doe, Jane', address: 'jane@example.com' }],
    to: [{ address: 'corpus@example.com' }],
  });
  const headers = await flow.fetchOne('1', { headers: ['message-id'] }, { uid: true });
  expect(headers).toMatchObject({ headers: Buffer.from('Message-ID: <first@example.com>\r\n\r\n') });
});

test('it searches, marks, moves, copies and expunges by UID', async () => {
  for (const subject of ['one', 'two', 'three', 'four']) server.deliver('corpus', mail(subject));
  const flow = await client();
  await flow.mailboxOpen('INBOX');
  expect(await flow.search({ header: { 'message-id': '<three@example.com>' } }, { uid: true })).toEqual([3]);
  await flow.messageFlagsAdd('2:3', ['\\Seen'], { uid: true });
  expect(await flow.search({ seen: false }, { uid: true })).toEqual([1, 4]);
  expect(await flow.search({ uid: '3:*', seen: false }, { uid: true })).toEqual([4]);

  const moved = await flow.messageMove('1', 'Trash', { uid: true });
  expect(moved && [...(moved.uidMap ?? [])]).toEqual([[1, 1]]);
  const copied = await flow.messageCopy('2:3', 'Archive', { uid: true });
  expect(copied && [...(copied.uidMap ?? [])]).toEqual([
    [2, 1],
    [3, 2],
  ]);
  await flow.messageFlagsAdd('2,4', ['\\Deleted'], { uid: true });
  await flow.messageDelete('2', { uid: true });
  // UID EXPUNGE takes only what it names.
  expect(uids()).toEqual([3, 4]);
  expect(server.mails('corpus', 'Trash').map((one) => one.bytes)).toEqual([mail('one')]);
  expect(server.mails('corpus', 'Archive')[0]?.flags).toEqual(['\\Seen']);
});

test('it appends with flags and date, and says the UID', async () => {
  const flow = await client();
  const appended = await flow.append('Sent', mail('sent'), ['\\Seen'], new Date('2026-11-01T10:00:00Z'));
  expect(appended).toMatchObject({ uid: 1 });
  expect(server.mails('corpus', 'Sent')).toEqual([{ uid: 1, bytes: mail('sent'), flags: ['\\Seen'] }]);
  await flow.mailboxOpen('Sent', { readOnly: true });
  const found = await flow.fetchOne('1', { internalDate: true });
  expect(found).toMatchObject({ internalDate: new Date('2026-11-01T10:00:00Z') });
});

test('a client that idles hears of new mail', async () => {
  const flow = await client();
  await flow.mailboxOpen('INBOX');
  const idling = flow.idle();
  const reported = once(flow, 'exists');
  server.deliver('corpus', mail('new'));
  expect((await reported)[0]).toMatchObject({ path: 'INBOX', count: 1, prevCount: 0 });
  await flow.noop();
  await idling;
});

test('STARTTLS protects the password; a wrong one is refused', async () => {
  const flow = await client({ doSTARTTLS: true, tls: { ca: certificate.ca } });
  expect(flow.secureConnection).toBe(true);
  await flow.mailboxOpen('INBOX');
  await expect(client({ auth: { user: 'corpus', pass: 'wrong' } })).rejects.toMatchObject({
    authenticationFailed: true,
  });
});

/** Sends lines as they are and answers everything that came until the server closed. */
async function dialogue(...lines: readonly string[]): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.write(lines.map((line) => `${line}\r\n`).join(''));
  await once(socket, 'close');
  return received;
}

test('what it does not know is BAD, what it cannot do is NO, and the connection lives on', async () => {
  const said = await dialogue(
    'a1 SELECT INBOX',
    'a2 LOGIN "corpus" {6+}\r\nsecret',
    'a3 FROBNICATE',
    'a4 SELECT Nowhere',
    'a5 EXAMINE inbox',
    'a6 FETCH 1:* BODYSTRUCTURE',
    'a7 STORE 1 FLAGS (\\Seen)',
    'nonsense',
    'a8 SEARCH WHATEVER',
    'a9 NOOP',
    'a10 LOGOUT',
  );
  const answers = said.split('\r\n').flatMap((line) => /^(a\d+|\*) (OK|NO|BAD)(?= [^[])/.exec(line)?.[0] ?? []);
  expect(said).toContain('a2 OK [CAPABILITY');
  expect(said).toContain('a4 NO [NONEXISTENT]');
  expect(said).toContain('a7 NO [READ-ONLY]');
  expect(answers).toEqual(['a1 BAD', 'a3 BAD', 'a6 BAD', '* BAD', 'a8 BAD', 'a9 OK', 'a10 OK']);
});

test('parts, fields and ranges of a mail; reading a body marks it, peeking does not', async () => {
  server.deliver('corpus', Buffer.from('A: 1\r\nB: 2\r\n folded\r\nC: 3\r\n\r\nbody\r\n'));
  const said = await dialogue(
    'a1 LOGIN corpus secret',
    'a2 SELECT INBOX',
    'a3 FETCH 1 (BODY.PEEK[HEADER.FIELDS (b)] BODY.PEEK[]<6.4>)',
    'a4 FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS.NOT (A B)])',
    'a5 UID FETCH 1 BODY[TEXT]',
    'a6 LOGOUT',
  );
  expect(said).toContain('* 1 FETCH (BODY[HEADER.FIELDS (B)] {17}\r\nB: 2\r\n folded\r\n\r\n BODY[]<6> {4}\r\nB: 2)');
  expect(said).toContain('* 1 FETCH (FLAGS () BODY[HEADER.FIELDS.NOT (A B)] {8}\r\nC: 3\r\n\r\n)');
  expect(said).toContain('* 1 FETCH (UID 1 BODY[TEXT] {6}\r\nbody\r\n FLAGS (\\Seen))');
});

test('an expunge by another is reported with sequence numbers that fit', async () => {
  for (const subject of ['one', 'two', 'three']) server.deliver('corpus', mail(subject));
  const watcher = await client();
  await watcher.mailboxOpen('INBOX');
  const reported: (number | undefined)[] = [];
  watcher.on('expunge', (event) => reported.push(event.seq));
  const other = await client();
  await other.mailboxOpen('INBOX');
  await other.messageDelete('1,3', { uid: true });
  await watcher.noop();
  expect(reported).toEqual([3, 1]);
  const left = await watcher.fetchOne('1', { uid: true });
  expect(left).toMatchObject({ uid: 2 });
});

test('a literal that would not fit in memory is refused before it is sent', async () => {
  expect(await dialogue('a1 LOGIN corpus secret', 'a2 APPEND INBOX {999999999}')).toMatch(/\* BYE Too large/);
});

test('mail for nobody is not taken', () => {
  expect(server.deliver('stranger', mail('lost'))).toBeUndefined();
});
