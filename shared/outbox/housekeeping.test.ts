import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { newestFirstId } from '../platform/ids.ts';
import { keepKeyMs } from './accepting/idempotency-lock.ts';
import { deliver } from './delivering/deliver.ts';
import { endedRows, findingPrefixes } from './finding/index-rows.ts';
import { removeOldMail } from './housekeeping.ts';
import {
  failureKey,
  failurePrefix,
  idempotencyPrefix,
  idempotencyRowKey,
  mimePath,
  recordKey,
  recordPrefix,
  unreadPath,
  uploadPath,
} from './keys.ts';
import type { MessageRecord } from './record.ts';

const dayMs = 86_400_000;
const options = { signal: new AbortController().signal };
const keep = { mimeDays: 10, recordDays: 30 };
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

const localId = (id: string) => id.split('.')[1] ?? '';
const hasRecord = (id: string) => outbox.rows.keys(accountName).includes(recordKey(localId(id)));
const mime = (id: string) => outbox.blobs.text(mimePath(accountName, localId(id)));
const rowsLeft = () => outbox.rows.keys(accountName).filter((key) => !key.startsWith('t:'));

async function daysLater(days: number): Promise<void> {
  outbox.now += days * dayMs;
  await removeOldMail(outbox.context, keep, options);
}

/** A mail that was accepted and sent now. */
async function sent(fields: Partial<MessageRecord> = {}): Promise<string> {
  const id = await outbox.accept(fields);
  expect(await deliver(outbox.context, id, options)).toBe('ended');
  return id;
}

describe('a mail that has ended', () => {
  it('keeps its text for so many days, and its record for longer', async () => {
    const id = await sent();
    await daysLater(10);
    expect([hasRecord(id), mime(id) !== undefined]).toEqual([true, true]);
    await daysLater(1);
    expect([hasRecord(id), mime(id)]).toEqual([true, undefined]);
    expect((await outbox.record(id)).mimeRemoved).toBe(true);
    await daysLater(19);
    expect(hasRecord(id)).toBe(true);
    await daysLater(1);
    expect(rowsLeft()).toEqual([]);
  });

  it('keeps both from its end on, and not from its beginning', async () => {
    const id = await outbox.accept();
    outbox.now += 40 * dayMs;
    await deliver(outbox.context, id, options);
    await daysLater(0);
    expect([hasRecord(id), mime(id) !== undefined]).toEqual([true, true]);
    await daysLater(11);
    expect([hasRecord(id), mime(id)]).toEqual([true, undefined]);
    await daysLater(20);
    expect(hasRecord(id)).toBe(false);
  });

  it('keeps its record for as long as a caller’s key that must find it', async () => {
    const id = await sent();
    outbox.now += 6 * dayMs;
    await removeOldMail(outbox.context, { mimeDays: 1, recordDays: 1 }, options);
    expect(hasRecord(id)).toBe(true);
    outbox.now += 1 * dayMs + 1;
    await removeOldMail(outbox.context, { mimeDays: 1, recordDays: 1 }, options);
    expect(hasRecord(id)).toBe(false);
  });

  it.each([
    ['the uploads that were in it', (local: string) => uploadPath(accountName, local, 0)],
    ['what of its record could not be read', (local: string) => unreadPath(accountName, local)],
  ])('loses %s with its text', async (_, pathOf) => {
    const id = await sent();
    const path = pathOf(localId(id));
    outbox.blobs.put(path, 'of the mail', {});
    await daysLater(10);
    expect([mime(id) !== undefined, outbox.blobs.text(path)]).toEqual([true, 'of the mail']);
    await daysLater(1);
    expect([mime(id), outbox.blobs.text(path)]).toEqual([undefined, undefined]);
  });

  it.each<[string, Partial<MessageRecord>]>([
    ['waits for an attempt', { status: 'queued' }],
    ['is scheduled', { status: 'scheduled' }],
    ['is being sent', { status: 'sending' }],
    ['owes a copy', { status: 'sent', sentCopy: 'pending' }],
    ['owes an event', { status: 'sent', event: 'mailroom.message.sent' }],
    ['owes the event of a failure', { status: 'failed', event: 'mailroom.message.failed' }],
  ])('is not one that %s: it stays for any time', async (_, fields) => {
    const id = await outbox.accept(fields);
    await outbox.rows.write(accountName, endedRows(await outbox.record(id)));
    const rows = rowsLeft();
    await daysLater(400);
    expect(rowsLeft()).toEqual(rows);
    expect([hasRecord(id), mime(id) !== undefined]).toEqual([true, true]);
  });

  it('stays whole where somebody takes it up at that moment', async () => {
    const id = await sent();
    outbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind, key }) => kind === 'merge' && key === recordKey(localId(id)))) return;
      outbox.rows.onWrite = () => undefined;
      await outbox.rows.write(accountName, [
        { kind: 'merge', key: recordKey(localId(id)), columns: { status: 'queued', mimeRemoved: false } },
      ]);
    };
    await daysLater(11);
    expect([(await outbox.record(id)).status, mime(id) !== undefined]).toEqual(['queued', true]);
  });

  it('stays whole where storage cannot say that its text goes', async () => {
    const id = await sent();
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    // Each account by itself; what failed is reported once the others are done.
    await expect(daysLater(11)).rejects.toThrow();
    expect(mime(id)).toBeDefined();
  });

  it('that was never accepted leaves no text: its acceptance was cut short', async () => {
    const id = await sent();
    await outbox.rows.write(accountName, [{ kind: 'delete', key: recordKey(localId(id)) }]);
    await daysLater(10);
    expect(mime(id)).toBeDefined();
    await daysLater(1);
    expect(mime(id)).toBeUndefined();
  });
});

it('many are removed in one run, and newer ones stay', async () => {
  for (let n = 0; n < 70; n += 1) {
    await sent();
    outbox.now += 1_000;
  }
  outbox.now += 20 * dayMs;
  const newer = await sent();
  await daysLater(11);
  expect(outbox.rows.keys(accountName).filter((key) => key.startsWith('m:'))).toEqual([recordKey(localId(newer))]);
  // Rows by which the others are found have gone with them.
  for (const key of rowsLeft()) expect(key).toContain(localId(newer));
  expect(Object.values(findingPrefixes).length).toBeGreaterThan(0);
});

it('is removed of every account there is', async () => {
  outbox.account({ name: 'other' });
  const { account, localId: other } = await outbox.record(await sent({ account: 'other' }));
  await daysLater(11);
  expect(outbox.blobs.text(mimePath(account, other))).toBeUndefined();
});

it('the text of a mail that waits is not taken for one that another account never accepted', async () => {
  // Two names of the same length: what is behind them looks the same.
  outbox.account({ name: 'first' });
  outbox.account({ name: 'other' });
  const waiting = await Promise.all(
    ['first', 'other'].map(async (account) => await outbox.accept({ account, status: 'scheduled' })),
  );
  await daysLater(400);
  for (const id of waiting) {
    const { account, localId: local } = await outbox.record(id);
    expect(outbox.blobs.text(mimePath(account, local)), account).toBeDefined();
  }
});

it('rows by which a mail was found, and which it has left, go as well', async () => {
  const key = findingPrefixes.ended + newestFirstId(outbox.now);
  await outbox.rows.write(accountName, [{ kind: 'put', key, columns: { at: outbox.now } }]);
  await daysLater(29);
  expect(rowsLeft()).toEqual([key]);
  await daysLater(2);
  expect(rowsLeft()).toEqual([]);
});

it('what is too much for one run goes with the next', async () => {
  const ids = Array.from({ length: 2_001 }, () => newestFirstId(outbox.now));
  for (const id of ids) outbox.blobs.put(mimePath(accountName, id), 'text');
  await outbox.rows.write(
    accountName,
    ids.flatMap((id) => [
      { kind: 'put', key: recordKey(id), columns: { status: 'sent' } },
      { kind: 'put', key: failureKey(outbox.now, id), columns: { at: outbox.now } },
      { kind: 'put', key: idempotencyRowKey(id), columns: { at: outbox.now } },
    ]),
  );
  const prefixes = [recordPrefix, failurePrefix, idempotencyPrefix];
  const left = () => prefixes.map((prefix) => outbox.rows.keys(accountName, prefix).length);
  await daysLater(31);
  expect([...left(), outbox.blobs.names().length]).toEqual([1, 1, 1, 1]);
  await daysLater(0);
  expect([...left(), outbox.blobs.names().length]).toEqual([0, 0, 0, 0]);
});

it('what tells of failures goes with the records', async () => {
  const [old, recent] = [failureKey(outbox.now, 'old'), failureKey(outbox.now + 2 * dayMs, 'recent')];
  await outbox.rows.write(accountName, [
    { kind: 'put', key: old, columns: { at: outbox.now } },
    { kind: 'put', key: recent, columns: { at: outbox.now + 2 * dayMs } },
  ]);
  await daysLater(31);
  expect(outbox.rows.keys(accountName).filter((key) => key.startsWith(failurePrefix))).toEqual([recent]);
});

it('a caller’s key is forgotten after seven days', async () => {
  const key = idempotencyRowKey('one');
  await outbox.rows.write(accountName, [
    { kind: 'put', key, columns: { at: outbox.now, message: 'x', requestHash: 'y' } },
  ]);
  outbox.now += keepKeyMs;
  await removeOldMail(outbox.context, keep, options);
  expect(outbox.rows.keys(accountName)).toContain(key);
  outbox.now += 1;
  await removeOldMail(outbox.context, keep, options);
  expect(outbox.rows.keys(accountName).filter((each) => each.startsWith(idempotencyPrefix))).toEqual([]);
});
