import { describe, expect, it } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { type Refusal, refusalOf } from '../../../test/support/refusal-of.ts';
import { RowConflict } from '../../platform/rows.ts';
import { deliver } from '../delivering/deliver.ts';
import { copyKey, idempotencyRowKey, mimePath, openKey, recordKey } from '../keys.ts';
import { recordId } from '../record.ts';
import { keepKeyMs } from './idempotency-lock.ts';
import { type CallerKey, submit } from './submit.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };

interface Asked {
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly key?: string;
  readonly hash?: string;
  readonly waitMs?: number;
}

function callerKey(name: string, hash = 'hash'): CallerKey {
  return { name, requestHash: async () => hash };
}

async function post(outbox: MemoryOutbox, { fields = {}, key, hash, waitMs }: Asked = {}) {
  const account = outbox.accounts.get(accountName) ?? expect.fail('no account');
  const read = async () => ({ to: 'anna@example.org', subject: 'Hello', text: 'Hello', ...fields });
  const request = { mail: { kind: 'fields', read } as const, ...(key ? { key: callerKey(key, hash) } : {}) };
  return await submit(outbox.context, account, request, { ...options, ...(waitMs === undefined ? {} : { waitMs }) });
}

const recordKeys = (outbox: MemoryOutbox) => outbox.rows.keys(accountName, recordKey(''));
const keyRow = (outbox: MemoryOutbox, key: string) => outbox.rows.get(accountName, idempotencyRowKey(key));
const openRow = async (outbox: MemoryOutbox, localId: string) =>
  (await outbox.rows.get(accountName, openKey(localId)))?.columns;

describe('a mail that is handed in', () => {
  it('is durable before the answer, queued, and looked after in a minute', async () => {
    const outbox = new MemoryOutbox();
    const { record, ended } = await post(outbox);
    const id = recordId(record);
    expect(ended).toBe(false);
    expect(await outbox.record(id)).toMatchObject({
      status: 'queued',
      createdAt: new Date(outbox.now).toISOString(),
      recipients: [{ address: 'anna@example.org', status: 'pending' }],
      attempts: [],
    });
    expect('nextAttemptAt' in record || 'sendAt' in record || 'uploads' in record).toBe(false);
    expect(outbox.blobs.text(mimePath(accountName, record.localId))).toContain('Subject: Hello');
    expect(record.size).toBe(outbox.blobs.text(mimePath(accountName, record.localId))?.length);
    expect(await openRow(outbox, record.localId)).toEqual({ checkAt: outbox.now + minute, waitMs: minute });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0, accepted: await outbox.etag(id) }]);
  });

  it('for later waits for its time, which no clock of ours has made', async () => {
    const outbox = new MemoryOutbox();
    const later = outbox.now + hour;
    const { record } = await post(outbox, { fields: { sendAt: new Date(later).toISOString() }, waitMs: 1_000 });
    expect(record).toMatchObject({ status: 'scheduled', sendAt: new Date(later).toISOString(), nextAttemptAt: later });
    expect(await openRow(outbox, record.localId)).toEqual({ checkAt: later + minute });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id: recordId(record), delayMs: hour }]);
    expect(outbox.transport.sent).toEqual([]);
  });

  it('for a time that has come is sent now', async () => {
    const outbox = new MemoryOutbox();
    const { record } = await post(outbox, { fields: { sendAt: new Date(outbox.now).toISOString() } });
    expect([record.status, record.sendAt]).toEqual(['queued', undefined]);
  });

  it('is accepted although the queue is away: the recovery timer finds it', async () => {
    const outbox = new MemoryOutbox();
    const context = { ...outbox.context, enqueue: () => Promise.reject(new Error('the queue is away')) };
    Object.assign(outbox, { context });
    const { record } = await post(outbox);
    expect((await outbox.record(recordId(record))).status).toBe('queued');
  });

  it('is accepted where the answer to its write was lost and a delivery has taken it up since', async () => {
    const outbox = new MemoryOutbox();
    const write = outbox.rows.write.bind(outbox.rows);
    outbox.rows.write = async (partition, writes) => {
      const etags = await write(partition, writes);
      if (writes.some(({ kind, key }) => kind === 'insert' && key.startsWith(recordKey(''))))
        throw new RowConflict('exists');
      return etags;
    };
    const { record } = await post(outbox, { key: 'k' });
    expect(recordKeys(outbox)).toEqual([recordKey(record.localId)]);
    expect(outbox.blobs.names()).toHaveLength(1);
  });

  it('has what its caller keeps with it', async () => {
    const outbox = new MemoryOutbox();
    const { record } = await post(outbox, { fields: { metadata: { order: '7' } } });
    expect((await outbox.record(recordId(record))).metadata).toEqual({ order: '7' });
  });

  it('may be ready-made: it leaves as it came, with the date of now where it has none', async () => {
    const outbox = new MemoryOutbox();
    const account = outbox.accounts.get(accountName) ?? expect.fail('no account');
    const text = 'From: corpus@example.com\r\nTo: ben@example.org\r\nSubject: Ready\r\n\r\nMade by hand\r\n';
    const bytes = async function* () {
      yield Buffer.from(text);
    };
    const { record } = await submit(outbox.context, account, { mail: { kind: 'mime', bytes: bytes() } }, options);
    expect(record.recipients).toEqual([{ address: 'ben@example.org', status: 'pending' }]);
    const stored = outbox.blobs.text(mimePath(accountName, record.localId)) ?? '';
    expect(stored).toContain('Subject: Ready\r\n');
    expect(stored.endsWith('\r\n\r\nMade by hand\r\n')).toBe(true);
    expect(Date.parse(/^Date: (.*)\r$/m.exec(stored)?.[1] ?? '')).toBe(outbox.now);
  });

  it('with a key is told as it is that storage is away, and is accepted once when it is back', async () => {
    const outbox = new MemoryOutbox();
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ key }) => key.startsWith(recordKey('')))) throw new Error('storage is away');
    };
    await expect(post(outbox, { key: 'k' })).rejects.toThrow('storage is away');
    outbox.rows.onWrite = () => undefined;
    const { record } = await post(outbox, { key: 'k' });
    expect(recordKeys(outbox)).toEqual([recordKey(record.localId)]);
  });

  it('is no more than refused where its record cannot be written, for whatever reason', async () => {
    const outbox = new MemoryOutbox();
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ kind, key }) => kind === 'insert' && key.startsWith(recordKey(''))))
        throw new RowConflict('exists');
    };
    await expect(post(outbox)).rejects.toBeInstanceOf(RowConflict);
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(post(outbox)).rejects.toThrow('storage is away');
    expect([recordKeys(outbox), outbox.queued()]).toEqual([[], []]);
  });
});

describe('a caller who waits', () => {
  it('is answered with the end, and nothing is queued', async () => {
    const outbox = new MemoryOutbox();
    const { record, ended, attempt } = await post(outbox, { waitMs: 5_000 });
    expect([record.status, ended, attempt?.outcome]).toEqual(['sent', true, 'sent']);
    expect(outbox.queued()).toEqual([]);
  });

  it('is answered with the attempt where another one follows', async () => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred', code: '450' })),
      trouble: { scope: 'message', code: '450', hint: 'Wait.' },
    });
    const { record, ended, attempt } = await post(outbox, { waitMs: 5_000 });
    expect([record.status, ended, attempt]).toMatchObject(['queued', false, { outcome: 'deferred', hint: 'Wait.' }]);
  });

  it('is not kept longer than they wait, and the delivery goes on', async () => {
    const outbox = new MemoryOutbox();
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    outbox.transport.onSend = async (mail, { beforeCommit, signal }) => {
      await held;
      signal.throwIfAborted();
      await beforeCommit();
      return accepted(mail);
    };
    const { record, ended, attempt } = await post(outbox, { waitMs: 20 });
    expect([record.status, ended, attempt]).toEqual(['sending', false, undefined]);
    go();
    await expect.poll(async () => (await outbox.record(recordId(record))).status).toBe('sent');
  });

  it('waits for whoever delivers the mail already', async () => {
    const outbox = new MemoryOutbox();
    const { record } = await post(outbox, { key: 'k' });
    let again: ReturnType<typeof post> | undefined;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      again = post(outbox, { key: 'k', waitMs: 60_000 });
      await beforeCommit();
      // Until the other one has met the claim.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return accepted(mail);
    };
    await deliver(outbox.context, recordId(record), options);
    expect(await again).toMatchObject({ ended: true, record: { localId: record.localId, status: 'sent' } });
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('is told nothing of earlier attempts, nor made to wait for one that is not due', async () => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'message' },
    });
    await post(outbox, { key: 'k', waitMs: 5_000 });
    const { record, ended, attempt } = await post(outbox, { key: 'k', waitMs: 60_000 });
    expect([record.status, ended, attempt]).toEqual(['queued', false, undefined]);
    expect(outbox.transport.sent).toHaveLength(1);
  });
});

describe('an idempotency key', () => {
  it('names its mail for seven days, whatever becomes of it', async () => {
    const outbox = new MemoryOutbox();
    const { record } = await post(outbox, { key: 'k' });
    expect((await post(outbox, { key: 'k' })).record.localId).toBe(record.localId);
    await deliver(outbox.context, recordId(record), options);
    expect(await post(outbox, { key: 'k', waitMs: 1_000 })).toMatchObject({ ended: true, record: { status: 'sent' } });
    outbox.now += keepKeyMs - 1;
    expect((await post(outbox, { key: 'k' })).record.localId).toBe(record.localId);
    outbox.now += 1;
    expect((await post(outbox, { key: 'k' })).record.localId).not.toBe(record.localId);
    expect(recordKeys(outbox)).toHaveLength(2);
  });

  it('is another one for another account’s mail, and for another name', async () => {
    const outbox = new MemoryOutbox();
    const first = await post(outbox, { key: 'k' });
    expect((await post(outbox, { key: 'K' })).record.localId).not.toBe(first.record.localId);
  });

  it('with another request is refused, and changes nothing', async () => {
    const outbox = new MemoryOutbox();
    await post(outbox, { key: 'k' });
    expect((await refusalOf(post(outbox, { key: 'k', hash: 'another' }))).reason).toBe('keyReused');
    expect(recordKeys(outbox)).toHaveLength(1);
  });

  it('names its mail also while the account cannot send, which refuses new mail alone', async () => {
    const outbox = new MemoryOutbox();
    const { record } = await post(outbox, { key: 'k' });
    const { transport: _, ...withoutTransport } = outbox.accounts.get(accountName) ?? expect.fail('no account');
    for (const account of [
      { ...withoutTransport, enabled: true },
      { ...withoutTransport, enabled: false },
    ]) {
      outbox.accounts.set(accountName, account);
      expect((await post(outbox, { key: 'k' })).record.localId).toBe(record.localId);
      expect((await refusalOf(post(outbox, { key: 'k', hash: 'another' }))).reason).toBe('keyReused');
      expect((await refusalOf(post(outbox, { key: 'new' }))).reason).toBe('conflict');
      expect((await refusalOf(post(outbox))).reason).toBe('conflict');
    }
    expect(await keyRow(outbox, 'new')).toBeUndefined();
    expect(recordKeys(outbox)).toHaveLength(1);
  });

  it('of a request that is refused is free again', async () => {
    const outbox = new MemoryOutbox();
    expect((await refusalOf(post(outbox, { key: 'k', fields: { to: 'nobody' } }))).reason).toBe('invalid');
    expect(await keyRow(outbox, 'k')).toBeUndefined();
    await post(outbox, { key: 'k' });
    expect(recordKeys(outbox)).toHaveLength(1);
  });

  it('is refused while its first request is being accepted, and not once that process is gone', async () => {
    const outbox = new MemoryOutbox();
    let second: Promise<Refusal> | undefined;
    outbox.blobs.onRequest = () => {
      second ??= refusalOf(post(outbox, { key: 'k' }));
    };
    await post(outbox, { key: 'k' });
    expect((await second)?.reason).toBe('conflict');
    const dead = new MemoryOutbox();
    const columns = { leaseOwner: 'dead', leaseUntil: dead.now + 15_000, at: dead.now };
    await dead.rows.write(accountName, [{ kind: 'insert', key: idempotencyRowKey('k'), columns }]);
    dead.now += 14_999;
    expect((await refusalOf(post(dead, { key: 'k' }))).reason).toBe('conflict');
    dead.now += 1;
    await post(dead, { key: 'k' });
    expect(recordKeys(dead)).toHaveLength(1);
  });

  it('that two requests lock at once is one’s', async () => {
    const outbox = new MemoryOutbox();
    const both = await Promise.allSettled([post(outbox, { key: 'k' }), post(outbox, { key: 'k' })]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(recordKeys(outbox)).toHaveLength(1);
  });

  it.each([
    ['hash', undefined],
    ['another', 'keyReused'],
  ])('of a process that stood still while another request took it: request %s', async (hash, refused) => {
    const outbox = new MemoryOutbox();
    let taken: Awaited<ReturnType<typeof post>> | undefined;
    outbox.blobs.onRequest = async (method) => {
      if (method !== 'upload' || taken) return;
      outbox.blobs.onRequest = () => undefined;
      outbox.now += 2 * minute;
      taken = await post(outbox, { key: 'k', hash: 'hash' });
    };
    const late = post(outbox, { key: 'k', hash });
    if (refused) expect((await refusalOf(late)).reason).toBe(refused);
    else expect((await late).record.localId).toBe(taken?.record.localId);
    expect(recordKeys(outbox)).toEqual([recordKey(taken?.record.localId ?? '')]);
    if (!refused) expect(outbox.blobs.names()).toEqual([mimePath(accountName, taken?.record.localId ?? '')]);
  });

  it('that names a mail which is not there is an error, and no second mail', async () => {
    const outbox = new MemoryOutbox();
    const columns = { message: 'gone', requestHash: 'hash', at: outbox.now };
    await outbox.rows.write(accountName, [{ kind: 'insert', key: idempotencyRowKey('k'), columns }]);
    await expect(post(outbox, { key: 'k' })).rejects.toThrow('is not there');
    expect([recordKeys(outbox), outbox.rows.keys(accountName, copyKey(''))]).toEqual([[], []]);
  });
});
