import { createHash, randomBytes } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SmtpSink, startSmtpSink } from '../local/smtp-sink.ts';
import { mailboxAccess, mailsIn } from './support/append-account.ts';
import { attachedFiles } from './support/attached-files.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { retention } from './support/retention.ts';
import { endedRecord, openMessages, recordWhen, send, smtpAccount, waitingRecord } from './support/sending.ts';
import { type StorageGate, type StorageRequest, startStorageGate } from './support/storage-gate.ts';

const maxBytes = 150 * 1024 * 1024;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
let sink: SmtpSink;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot, sink] = await Promise.all([
    Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) }),
    startDovecot({ users: { tester: 'password of tester', writer: 'password of writer' } }),
    startSmtpSink(),
  ]);
  await smtpAccount(mailroom, 'corpus', { port: sink.port });
}, 60_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
  await sink?.stop();
  await dovecot?.remove();
});

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Bytes as a body that comes chunked. */
function chunked(bytes: Buffer): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at + 100_000));
      at += 100_000;
      if (at >= bytes.length) controller.close();
    },
  });
}

interface Uploaded {
  readonly id: string;
  readonly expiresAt: string;
}

async function upload(bytes: Buffer): Promise<Uploaded> {
  return (await mailroom.expect(201, 'POST', '/api/uploads', { raw: chunked(bytes) })).json;
}

async function blobs(container: 'uploads' | 'outbox', prefix = ''): Promise<string[]> {
  const service = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString);
  const names: string[] = [];
  for await (const { name } of service.getContainerClient(container).listBlobsFlat({ prefix })) names.push(name);
  return names;
}

const mimeOf = async (id: string) => (await mailroom.expect(200, 'GET', `/api/messages/${id}/mime`)).bytes;

const arrived = (messageId: string) => sink.mails().filter(({ bytes }) => bytes.includes(messageId));

/** Kills the process and starts it again, so much later, with nothing held up any more. */
async function killed(laterMs: number): Promise<void> {
  shiftMs += laterMs;
  await mailroom.kill();
  gate.release();
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

describe('POST /uploads', () => {
  it('keeps the bytes, chunked or with their length, and answers what they are', async () => {
    const bytes = randomBytes(5_000_000);
    const before = Date.now();
    const answers = [
      await mailroom.expect(201, 'POST', '/api/uploads', { raw: chunked(bytes) }),
      await mailroom.expect(201, 'POST', '/api/uploads', { raw: bytes, headers: { 'content-type': 'video/mp4' } }),
    ];
    for (const { json } of answers) {
      expect(json).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{40}$/),
        size: bytes.length,
        sha256: sha256(bytes),
        expiresAt: expect.any(String),
      });
      const life = Date.parse(json.expiresAt) - before;
      expect(life).toBeGreaterThanOrEqual(day);
      expect(life).toBeLessThan(day + hour);
    }
    expect(answers[0]?.json.id).not.toBe(answers[1]?.json.id);
  });

  it('no route reads one, or lists them', async () => {
    const { id } = await upload(Buffer.from('private'));
    problem(await mailroom.call('GET', `/api/uploads/${id}`), 404);
    problem(await mailroom.call('GET', '/api/uploads'), 405);
    problem(await mailroom.call('GET', `/api/messages/${id}/mime`), 404);
    problem(await mailroom.call('GET', `/api/messages/uploads.${id}/mime`), 404);
    expect(await mailroom.log()).not.toContain(id);
  });

  it('an empty body, a form and packed bytes are refused', async () => {
    problem(await mailroom.call('POST', '/api/uploads', { raw: Buffer.alloc(0) }), 400);
    const form = { 'content-type': 'multipart/form-data; boundary=x' };
    problem(await mailroom.call('POST', '/api/uploads', { raw: Buffer.from('--x--'), headers: form }), 415);
    const packed = { 'content-encoding': 'gzip' };
    problem(await mailroom.call('POST', '/api/uploads', { raw: Buffer.from('x'), headers: packed }), 415);
  });

  it('more than 150 MiB is 413, announced or not, and leaves nothing', { timeout: 180_000 }, async () => {
    const before = await blobs('uploads');
    const large = Buffer.alloc(maxBytes + 1);
    problem(await mailroom.call('POST', '/api/uploads', { raw: large }), 413);
    problem(await mailroom.call('POST', '/api/uploads', { raw: chunked(large) }), 413);
    expect(await blobs('uploads')).toEqual(before);
  });

  it('what is broken off, by the caller or by the end of the process, leaves nothing', {
    timeout: 180_000,
  }, async () => {
    const before = await blobs('uploads');
    const block = ({ service, method, path }: StorageRequest) =>
      service === 'blob' && method === 'PUT' && path.includes('comp=block&');
    for (const end of ['caller', 'process'] as const) {
      const staged = gate.hold({ at: 'after', fits: block });
      const caller = new AbortController();
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(randomBytes(9_000_000)),
      });
      const call = fetch(`${mailroom.url}/api/uploads`, {
        method: 'POST',
        headers: mailroom.keyHeader,
        body,
        duplex: 'half',
        signal: caller.signal,
      }).then(
        () => 'answered',
        () => 'no answer',
      );
      await staged;
      if (end === 'caller') {
        caller.abort();
        gate.resume();
      } else await killed(0);
      expect(await call).toBe('no answer');
    }
    expect(await blobs('uploads')).toEqual(before);
    const bytes = randomBytes(100);
    expect((await upload(bytes)).id).not.toBe('');
  });
});

describe('a mail with uploads', () => {
  const film = randomBytes(3_000_000);
  const note = randomBytes(5);

  it('arrives with the bytes that were uploaded, ten at a time from one upload', { timeout: 180_000 }, async () => {
    const [long, short] = [await upload(film), await upload(note)];
    const attachments = [
      { filename: 'film.mp4', upload: long.id },
      { filename: 'note.bin', upload: short.id },
      { filename: 'inline.txt', content: Buffer.from('inline').toString('base64') },
    ];
    const sent = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        send(mailroom, 'corpus', { bcc: 'hidden@example.org', subject: `${n}`, attachments }),
      ),
    );
    for (const { id, messageId } of sent) {
      expect((await endedRecord(mailroom, id, 60)).status).toBe('sent');
      const [mail, ...more] = arrived(messageId);
      expect(more).toEqual([]);
      const files = attachedFiles(mail?.bytes ?? Buffer.alloc(0));
      expect([...files.keys()]).toEqual(['film.mp4', 'note.bin', 'inline.txt']);
      expect(files.get('film.mp4')?.equals(film)).toBe(true);
      expect(files.get('note.bin')?.equals(note)).toBe(true);
      expect(files.get('inline.txt')?.toString()).toBe('inline');
      expect(mail?.bytes.includes('hidden@')).toBe(false);
      expect((await mimeOf(id)).equals(mail?.bytes ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it('is shown as a download, whole or in part', async () => {
    const { id: named } = await upload(film);
    const { id } = await send(mailroom, 'corpus', { attachments: [{ filename: 'film.mp4', upload: named }] });
    const whole = await mailroom.expect(200, 'GET', `/api/messages/${id}/mime`);
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      'content-type': 'message/rfc822',
      'content-disposition': "attachment; filename*=UTF-8''message.eml",
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
      'content-length': String(whole.bytes.length),
      etag: `"${id}"`,
    });
    const range = { range: `bytes=1000000-2999999` };
    const part = await mailroom.expect(206, 'GET', `/api/messages/${id}/mime`, { headers: range });
    expect(part.bytes.equals(whole.bytes.subarray(1_000_000, 3_000_000))).toBe(true);
    const known = { 'if-none-match': `"${id}"` };
    await mailroom.expect(304, 'GET', `/api/messages/${id}/mime`, { headers: known });
    problem(await mailroom.call('GET', '/api/messages/corpus.0000000000000000000000/mime'), 404);
  });

  it('is appended to a folder, and copied into Sent, byte for byte', { timeout: 180_000 }, async () => {
    const { id: named } = await upload(film);
    const access = await mailboxAccess(mailroom, 'appender', dovecot, 'tester');
    await mailroom.expect(201, 'PUT', '/api/accounts/appender', {
      body: { from: 'appender@example.com', transport: access, import: { schedule: null } },
    });
    const store = await mailboxAccess(mailroom, 'writer', dovecot, 'writer');
    await smtpAccount(mailroom, 'writer', { port: sink.port, saveToSent: true }, { store });
    const attachments = [{ filename: 'film.mp4', upload: named }];
    const appended = await send(mailroom, 'appender', { attachments });
    const copied = await send(mailroom, 'writer', { attachments });
    expect((await endedRecord(mailroom, appended.id, 60)).status).toBe('sent');
    await recordWhen(mailroom, copied.id, 'copied', ({ sentCopy }) => sentCopy === 'saved', 60);
    for (const [user, folder, id] of [
      ['tester', 'INBOX', appended.id],
      ['writer', 'Sent', copied.id],
    ] as const) {
      const client = await dovecot.client(user);
      const [mail, ...more] = await mailsIn(client, folder);
      await client.close();
      expect(more).toEqual([]);
      expect(mail?.bytes.equals(await mimeOf(id))).toBe(true);
      expect(
        attachedFiles(mail?.bytes ?? Buffer.alloc(0))
          .get('film.mp4')
          ?.equals(film),
      ).toBe(true);
    }
  });

  it('arrives once, the same, where the process is killed while it is composed and delivered', {
    timeout: 180_000,
  }, async () => {
    const { id: named } = await upload(film);
    const ofUpload = ({ service, method, path }: StorageRequest) =>
      service === 'blob' && method === 'GET' && /\/outbox\/corpus\/\w+\.0$/.test(path.split('?')[0] ?? '');
    let pieces = 0;
    const reading = gate.hold({
      at: 'before',
      fits: (request) => {
        if (ofUpload(request)) pieces += 1;
        return pieces === 2;
      },
    });
    const { id, messageId } = await send(mailroom, 'corpus', {
      attachments: [{ filename: 'film.mp4', upload: named }],
    });
    await reading;
    await killed(3 * minute);
    expect(await endedRecord(mailroom, id, 60)).toMatchObject({
      status: 'sent',
      attempts: [{ outcome: 'interrupted' }, { outcome: 'sent' }],
    });
    const mails = arrived(messageId);
    expect(mails).toHaveLength(1);
    expect(mails[0]?.bytes.equals(await mimeOf(id))).toBe(true);
    expect(
      attachedFiles(mails[0]?.bytes ?? Buffer.alloc(0))
        .get('film.mp4')
        ?.equals(film),
    ).toBe(true);
  });

  it('is the same at the next attempt, though its upload is gone by then', { timeout: 180_000 }, async () => {
    const { id: named } = await upload(film);
    await smtpAccount(mailroom, 'waiting', { port: 1 });
    const { id, messageId } = await send(mailroom, 'waiting', {
      attachments: [{ filename: 'film.mp4', upload: named }],
    });
    await waitingRecord(mailroom, id);
    const before = await mimeOf(id);
    const service = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString);
    await service.getContainerClient('uploads').deleteBlob(named);
    await smtpAccount(mailroom, 'waiting', { port: sink.port });
    await mailroom.call('POST', `/api/messages/${id}/retry`);
    expect((await endedRecord(mailroom, id, 60)).status).toBe('sent');
    expect(arrived(messageId)[0]?.bytes.equals(before)).toBe(true);
  });

  it('is one mail under one key, and no copy is left of the others', { timeout: 180_000 }, async () => {
    const { id: named } = await upload(note);
    const fields = { subject: 'keyed', attachments: [{ filename: 'note.bin', upload: named }] };
    await smtpAccount(mailroom, 'keyed', { port: sink.port });
    const calls = Array.from({ length: 10 }, () =>
      mailroom.call('POST', '/api/accounts/keyed/messages', {
        body: { to: 'anna@example.org', ...fields },
        headers: { 'idempotency-key': 'one' },
      }),
    );
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status }) => status)).has(202)).toBe(true);
    expect(answers.filter(({ status }) => status !== 202 && status !== 409)).toEqual([]);
    expect(new Set(answers.flatMap(({ json }) => (json.id ? [json.id] : []))).size).toBe(1);
    expect(await blobs('outbox', 'keyed/')).toHaveLength(2);
  });
});

describe('by and by', () => {
  it('unused uploads go, mails that wait keep what they are made of, and so does retention in the end', {
    timeout: 240_000,
  }, async () => {
    const bytes = randomBytes(200_000);
    const [named, unused] = [await upload(bytes), await upload(bytes)];
    const attachments = [{ filename: 'a.bin', upload: named.id }];
    const now = Date.now() + shiftMs;
    const sendAt = new Date(now + 10 * day).toISOString();
    const { id, messageId } = await send(mailroom, 'corpus', { sendAt, attachments });

    // Stored and never accepted: the process is killed before the record is written.
    await smtpAccount(mailroom, 'orphan', { port: sink.port });
    const caught = gate.hold({
      at: 'before',
      fits: ({ service, body }) => service === 'table' && body.includes('"status":"queued"') && body.includes('orphan'),
    });
    const lost = mailroom
      .call('POST', '/api/accounts/orphan/messages', { body: { to: 'a@example.org', subject: 'x', attachments } })
      .catch(() => undefined);
    await caught;
    await killed(day + minute);
    expect(await lost).toBeUndefined();
    expect(await blobs('outbox', 'orphan/')).toHaveLength(2);

    const refused = await mailroom.call('POST', '/api/messages', {
      body: { to: 'a@example.org', subject: 'x', attachments },
    });
    const { pointers, mistakes } = problem(refused, 400);
    expect(pointers).toEqual(['/attachments/0/upload']);
    expect(mistakes['/attachments/0/upload']).toMatch(/expired/);

    shiftMs += hour;
    await mailroom.setClock(shiftMs);
    await retention(mailroom);
    expect((await blobs('uploads')).filter((name) => [named.id, unused.id].includes(name))).toEqual([]);

    shiftMs += 9 * day;
    await mailroom.setClock(shiftMs);
    await mailroom.fire('outbox-recovery');
    expect((await endedRecord(mailroom, id, 60)).status).toBe('sent');
    const [mail, ...more] = arrived(messageId);
    expect(more).toEqual([]);
    expect(
      attachedFiles(mail?.bytes ?? Buffer.alloc(0))
        .get('a.bin')
        ?.equals(bytes),
    ).toBe(true);
    await until('nothing open', 60, async () => (await openMessages(mailroom)).length === 0);

    shiftMs += 31 * day;
    await mailroom.setClock(shiftMs);
    await retention(mailroom);
    const { detail } = problem(await mailroom.call('GET', `/api/messages/${id}/mime`), 404);
    expect(detail).toMatch(/kept for 30 days/);
    expect(await blobs('outbox')).toEqual([]);
  });
});
