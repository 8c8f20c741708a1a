import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { inLogScope } from '../../platform/log.ts';
import { readAccepted } from '../accepted-copy.ts';
import type { PreparedMail } from '../composing/prepared-mail.ts';
import { idempotencyRowKey, mimePath } from '../keys.ts';
import { recordId } from '../record.ts';
import { heldBelow } from '../stored-mime.ts';
import { accept } from './accept.ts';
import { BacklogLimit } from './backlog-limit.ts';
import { IdempotencyLock } from './idempotency-lock.ts';

/** What is written of a mail that is taken over. */

const options = { signal: new AbortController().signal };
const text = 'From: corpus@example.com\r\nSubject: Hello\r\n\r\nHello\r\n';
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

const account = () => outbox.accounts.get(accountName) ?? expect.fail('no account');

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

const mailOf = (fields: Partial<PreparedMail> = {}, bytes = Buffer.from(text)): PreparedMail => ({
  ...{ messageId: '<m@example.com>', headerFrom: 'corpus@example.com', date: outbox.now, bcc: [] },
  envelope: { from: 'corpus@example.com', to: ['anna@example.org', 'ben@example.org'] },
  ...{ content: pieces(bytes), ...fields },
});

async function accepted(fields: Partial<PreparedMail> = {}, bytes = Buffer.from(text)) {
  const record = await accept(outbox.context, account(), mailOf(fields, bytes), options);
  return { answered: record, written: await outbox.record(recordId(record)) };
}

describe('the record of a mail that is taken over', () => {
  it('says what was handed in, and is what is answered', async () => {
    const metadata = { order: '7' };
    const envelope = {
      from: 'bounces@example.com',
      to: ['anna@example.org'],
      dsn: { ret: 'headers', envid: 'e1', notify: ['failure'] },
    } as const;
    const { answered, written } = await accepted({ metadata, envelope, bcc: ['carl@example.org'] });
    expect(written).toEqual(answered);
    expect(written).toMatchObject({
      ...{ status: 'queued', messageId: '<m@example.com>', headerFrom: 'corpus@example.com', size: text.length },
      ...{ date: new Date(outbox.now).toISOString(), bcc: ['carl@example.org'], metadata },
      envelope: { from: 'bounces@example.com', dsn: { ret: 'headers', envid: 'e1', notify: ['failure'] } },
      recipients: [{ address: 'anna@example.org', status: 'pending' }],
    });
  });

  it('says nothing of what was not asked for', async () => {
    const { written } = await accepted();
    for (const absent of ['metadata', 'traceId', 'uploads', 'sendAt', 'nextAttemptAt']) {
      expect(written).not.toHaveProperty(absent);
    }
    expect(written.envelope).toEqual({ from: 'corpus@example.com' });
    const dsn = { ret: 'full' } as const;
    const other = await accepted({ envelope: { from: 'corpus@example.com', to: ['a@example.org'], dsn } });
    expect(other.written.envelope).toEqual({ from: 'corpus@example.com', dsn });
  });

  it('has the trace of the call', async () => {
    const { written } = await inLogScope({ fields: {}, traceId: 'trace-1' }, () => accepted());
    expect(written.traceId).toBe('trace-1');
  });

  it.each([
    ['before now', -1, 'queued'],
    ['now', 0, 'queued'],
    ['a moment later', 1, 'scheduled'],
  ] as const)('of a mail for %s', async (_, ahead, status) => {
    const { written } = await accepted({ sendAt: outbox.now + ahead });
    expect([written.status, written.nextAttemptAt]).toEqual([status, ahead > 0 ? outbox.now + 1 : undefined]);
    expect(outbox.queued()).toMatchObject([{ delayMs: Math.max(0, ahead) }]);
  });

  it('counts with the mails of its day', async () => {
    await accepted();
    await accepted();
    const counted = outbox.rows.keys(accountName).filter((key) => key.startsWith('t:'));
    const rows = await Promise.all(counted.map((key) => outbox.rows.get(accountName, key)));
    expect(rows.reduce((sum, row) => sum + Number(row?.columns.accepted ?? 0), 0)).toBe(2);
  });
});

describe('a queue message', () => {
  it.each([
    ['tells of the record as it is, where the mail is small', heldBelow, true],
    ['tells nothing of a large mail, whose text is not read with it', heldBelow + 1, false],
  ])('%s', async (_, size, tells) => {
    const { written } = await accepted({}, Buffer.alloc(size, 'x'));
    const [queued] = outbox.queued();
    expect(queued?.accepted).toBe(tells ? await outbox.etag(recordId(written)) : undefined);
  });

  it('is none of a mail that its caller delivers, unless that is for later', async () => {
    await accept(outbox.context, account(), mailOf(), { ...options, deliverHere: true });
    expect(outbox.queued()).toEqual([]);
    await accept(outbox.context, account(), mailOf({ sendAt: outbox.now + 1_000 }), { ...options, deliverHere: true });
    expect(outbox.queued()).toMatchObject([{ delayMs: 1_000 }]);
  });
});

it.each([
  ['now brings the next count of what waits forward', undefined, true],
  ['later does not', 10 * 3_600_000, false],
])('a mail that is due %s', async (_, ahead, isCounted) => {
  const clock = { now: () => outbox.now };
  const backlog = new BacklogLimit(outbox.rows, clock, { max: 1, withinMs: 3_600_000 });
  await backlog.check(accountName);
  const sendAt = ahead === undefined ? {} : { sendAt: outbox.now + ahead };
  await accept({ ...outbox.context, backlog }, account(), mailOf(sendAt), options);
  outbox.now += 1_500;
  const before = outbox.rows.requests;
  await backlog.check(accountName).catch(() => undefined);
  expect(outbox.rows.requests > before).toBe(isCounted);
});

describe('a key that another request took meanwhile', () => {
  async function takenWhileAccepting(columns: Readonly<Record<string, string | number>>) {
    const lock = await IdempotencyLock.acquire(outbox.context, accountName, 'k', options);
    if (!(lock instanceof IdempotencyLock)) return expect.fail('the key is used');
    await outbox.rows.write(accountName, [{ kind: 'put', key: idempotencyRowKey('k'), columns }]);
    const key = { name: 'k', lock, requestHash: async () => 'hash' };
    return await refusalOf(accept(outbox.context, account(), mailOf(), { ...options, key }));
  }

  it('and is still accepting with is a conflict, and the mail is not accepted', async () => {
    const refusal = await takenWhileAccepting({ leaseOwner: 'other', leaseUntil: outbox.now + 15_000 });
    expect(refusal).toMatchObject({ reason: 'conflict' });
    expect(refusal.message).toContain('Another request with this Idempotency-Key is being accepted');
    expect([outbox.queued(), outbox.rows.keys(accountName).filter((key) => key.startsWith('m:'))]).toEqual([[], []]);
  });

  it('for another mail is refused as reused', async () => {
    const refusal = await takenWhileAccepting({ message: 'm1', requestHash: 'other', at: outbox.now });
    expect(refusal).toMatchObject({ reason: 'keyReused' });
  });
});

it('the text that is sent is stored as it came, as a mail', async () => {
  const { written } = await accepted();
  expect(outbox.blobs.text(mimePath(accountName, written.localId))).toBe(text);
  const blob = outbox.blobs.client.getBlobClient(mimePath(accountName, written.localId));
  expect((await blob.getProperties()).contentType).toBe('message/rfc822');
});

it('the first delivery of a small mail finds its record beside the text', async () => {
  const { written } = await accepted();
  const etag = await outbox.etag(recordId(written));
  expect((await readAccepted(outbox.context, written, etag, options))?.record).toEqual(written);
});
