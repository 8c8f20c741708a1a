import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type SmtpSink, startSmtpSink } from '../local/smtp-sink.ts';
import { mailboxAccess } from './support/append-account.ts';
import { attachedFiles } from './support/attached-files.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { forgetPeak, peakMemory } from './support/peak-memory.ts';
import { endedRecord, send, smtpAccount } from './support/sending.ts';

const mebibyte = 1024 * 1024;
const largest = 150 * mebibyte;
/** A few blocks under way, and what is dead and not swept yet. */
const allowedGrowth = 64 * mebibyte;

const user = 'sender@example.com';

let mailroom: Mailroom;
let dovecot: Dovecot;
let sink: SmtpSink;

beforeAll(async () => {
  [mailroom, dovecot, sink] = await Promise.all([
    Mailroom.start({ graph: [user, 'partner@example.org'].map((userPrincipalName) => ({ userPrincipalName })) }),
    startDovecot({ users: { tester: 'password of tester' } }),
    startSmtpSink(),
  ]);
  await smtpAccount(mailroom, 'corpus', { port: sink.port });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await sink?.stop();
  await dovecot?.remove();
});

/** Random bytes without end, which none of the ways they take can shorten. */
const block = randomBytes(mebibyte);

async function upload(size: number): Promise<{ readonly id: string; readonly sha256: string }> {
  const hash = createHash('sha256');
  let left = size;
  const raw = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = block.subarray(0, Math.min(left, block.length));
      hash.update(piece);
      controller.enqueue(piece);
      left -= piece.length;
      if (left === 0) controller.close();
    },
  });
  const { json } = await mailroom.expect(201, 'POST', '/api/uploads', { raw });
  expect(json).toMatchObject({ size, sha256: hash.digest('hex') });
  return json;
}

/** SHA-256 and bytes of what was sent, without holding it. */
async function mimeDigest(id: string): Promise<{ readonly sha256: string; readonly size: number }> {
  const answer = await fetch(`${mailroom.url}/api/messages/${id}/mime`, { headers: mailroom.keyHeader });
  expect(answer.status).toBe(200);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex'), size };
}

it('150 MiB are uploaded in bounded memory, composed, delivered by SMTP and IMAP, and shown', {
  timeout: 600_000,
}, async () => {
  const access = await mailboxAccess(mailroom, 'appender', dovecot, 'tester');
  await mailroom.expect(201, 'PUT', '/api/accounts/appender', {
    body: { from: 'appender@example.com', transport: { ...access, timeout: 60_000 }, import: { schedule: null } },
  });
  // What is loaded once and kept is not what a large mail costs.
  for (const account of ['corpus', 'appender']) {
    const { id } = await upload(9 * mebibyte);
    const small = await send(mailroom, account, { attachments: [{ filename: 'a', upload: id }] });
    await endedRecord(mailroom, small.id, 60);
    await mimeDigest(small.id);
  }
  sink.clear();
  const idle = await forgetPeak(mailroom.pid);

  const { id: named, sha256 } = await upload(largest);
  expect((await peakMemory(mailroom.pid)) - idle).toBeLessThan(allowedGrowth);
  const attachments = [{ filename: 'large.bin', upload: named }];
  const mail = await send(mailroom, 'corpus', { attachments });
  expect((await endedRecord(mailroom, mail.id, 240)).status).toBe('sent');
  const appended = await send(mailroom, 'appender', { attachments });
  expect((await endedRecord(mailroom, appended.id, 240)).status).toBe('sent');
  const shown = await mimeDigest(mail.id);

  const [arrived, ...more] = sink.mails();
  expect(more).toEqual([]);
  const bytes = arrived?.bytes ?? Buffer.alloc(0);
  expect(shown).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length });
  const file = attachedFiles(bytes).get('large.bin') ?? Buffer.alloc(0);
  expect(createHash('sha256').update(file).digest('hex')).toBe(sha256);

  const client = await dovecot.client('tester');
  const uid = (await client.uids('INBOX')).at(-1);
  const { lines } = await client.ok(`UID FETCH ${uid} (RFC822.SIZE)`);
  await client.close();
  const { size } = await mimeDigest(appended.id);
  expect(lines.map(({ text }) => text).join()).toContain(`RFC822.SIZE ${size}`);
});

it('by Graph an upload goes by an upload session, and Bcc are named', { timeout: 240_000 }, async () => {
  await graphAccount(mailroom, 'graph', { user });
  const { id, sha256 } = await upload(20 * mebibyte);
  const mail = await send(mailroom, 'graph', {
    to: 'partner@example.org',
    bcc: 'hidden@example.org',
    attachments: [
      { filename: 'large.bin', upload: id },
      { filename: 'small.txt', content: Buffer.from('small').toString('base64') },
    ],
  });
  expect((await endedRecord(mailroom, mail.id, 120)).status).toBe('sent');
  const [sent, ...more] = mailroom.graph.sent(user);
  expect(more).toEqual([]);
  expect(sent?.recipients).toEqual(['partner@example.org', 'hidden@example.org']);
  const sizes = Object.fromEntries((sent?.attachments ?? []).map((each) => [each.name, each.size]));
  expect(sizes).toEqual({ 'large.bin': 20 * mebibyte, 'small.txt': 5 });
  const arrived = mailroom.graph
    .mailbox('partner@example.org')
    .mails('inbox')
    .find(({ messageId }) => messageId === mail.messageId);
  const file = arrived && largestFile(arrived.bytes());
  expect(
    createHash('sha256')
      .update(file ?? '')
      .digest('hex'),
  ).toBe(sha256);
  expect(mailroom.graph.violations).toEqual([]);
  expect(mailroom.graph.exposedTokens).toEqual([]);
});

/** The longest text behind a header in a mail, decoded from base64: Graph writes mails in its own way. */
function largestFile(mail: Buffer): Buffer {
  const [longest = ''] = mail
    .toString('latin1')
    .split('\r\n\r\n')
    .sort((a, b) => b.length - a.length);
  return Buffer.from(longest.split('\r\n--')[0] ?? '', 'base64');
}
