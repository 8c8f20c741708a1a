import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { Columns } from '../../platform/rows.ts';
import { openKey, recordKey } from '../keys.ts';
import { type MessageRecord, recordColumns } from '../record.ts';
import { removeLeftIndex, removeRecord } from './remove-index.ts';
import { indexWrites } from './write-index.ts';

const { signal } = new AbortController();
const day = 86_400_000;
const nothingKept = { before: 0, kept: new Set<string>() };

/** A record with this many recipients, not written yet. */
async function recordWith(outbox: MemoryOutbox, recipients: number): Promise<MessageRecord> {
  const record = await outbox.record(await outbox.accept());
  await outbox.rows.write(
    accountName,
    outbox.rows.keys(accountName).map((key) => ({ kind: 'delete', key })),
  );
  const addresses = Array.from({ length: recipients }, (_, n) => `r${n}@example.org`);
  return { ...record, recipients: addresses.map((address) => ({ address, status: 'accepted' })), status: 'sent' };
}

async function write(outbox: MemoryOutbox, record: MessageRecord): Promise<void> {
  await outbox.rows.write(accountName, [
    { kind: 'insert', key: recordKey(record.localId), columns: recordColumns(record) },
    { kind: 'insert', key: openKey(record.localId), columns: {} },
    ...(await indexWrites(outbox.context, record)),
  ]);
}

const indexKeys = (outbox: MemoryOutbox) => outbox.rows.keys(accountName).filter((key) => !/^[mo]:/.test(key));

describe('the rows by which a mail is found', () => {
  it.each([1, 79, 80, 500])('of %d recipients are written, no transaction with more than 100 rows', async (count) => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, count);
    const sizes: number[] = [];
    outbox.rows.onWrite = (_, writes) => void sizes.push(writes.length);
    await write(outbox, record);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    expect(indexKeys(outbox)).toHaveLength(count + 1);
    expect(indexKeys(outbox).every((key) => /^[rh]:[0-9a-f]{24}:/.test(key) && key.endsWith(record.localId))).toBe(
      true,
    );
  });

  it.each([1, 500])('of %d recipients go with the record', async (count) => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, count);
    await write(outbox, record);
    const row = await outbox.rows.get(accountName, recordKey(record.localId));
    if (!row) throw new Error('no record');
    await removeRecord(outbox.context, accountName, row);
    expect(outbox.rows.keys(accountName)).toEqual([openKey(record.localId)]);
  });

  it.each<[string, Columns]>([
    ['of which only the state cannot be read', {}],
    ['of which nothing can be read', { json0: '{' }],
  ])('go as far as they are known with a record %s', async (_, columns) => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, 2);
    await write(outbox, record);
    const key = recordKey(record.localId);
    await outbox.rows.write(accountName, [
      { kind: 'merge', key, columns: { ...columns, status: 'of a newer version' } },
    ]);
    const row = await outbox.rows.get(accountName, key);
    if (!row) throw new Error('no record');
    await removeRecord(outbox.context, accountName, row);
    expect(outbox.rows.keys(accountName)).not.toContain(key);
    expect(indexKeys(outbox)).toHaveLength('json0' in columns ? 3 : 0);
  });

  it('stay with a record that was changed since it was read', async () => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, 3);
    await write(outbox, record);
    const row = await outbox.rows.get(accountName, recordKey(record.localId));
    if (!row) throw new Error('no record');
    await outbox.rows.write(accountName, [{ kind: 'merge', key: row.key, columns: { status: 'queued' } }]);
    await removeRecord(outbox.context, accountName, row);
    expect(indexKeys(outbox)).toHaveLength(4);
    expect((await outbox.record(`${accountName}.${record.localId}`)).status).toBe('queued');
  });

  it('are not missed by a record of a version that wrote none', async () => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, 3);
    const key = recordKey(record.localId);
    await outbox.rows.write(accountName, [{ kind: 'insert', key, columns: recordColumns(record) }]);
    const row = await outbox.rows.get(accountName, key);
    if (!row) throw new Error('no record');
    await removeRecord(outbox.context, accountName, row);
    expect(outbox.rows.keys(accountName)).toEqual([]);
  });
});

describe('a mail with many recipients whose acceptance is cut short', () => {
  it('leaves nothing a day later', async () => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, 500);
    await indexWrites(outbox.context, record);
    expect(indexKeys(outbox).length).toBeGreaterThan(400);
    await removeLeftIndex(outbox.context, accountName, nothingKept, { signal });
    expect(indexKeys(outbox).length).toBeGreaterThan(400);
    outbox.now += day + 1;
    await removeLeftIndex(outbox.context, accountName, nothingKept, { signal });
    expect(outbox.rows.keys(accountName)).toEqual([]);
  });

  it('cannot be accepted any more once its rows are being removed', async () => {
    const outbox = new MemoryOutbox();
    const record = await recordWith(outbox, 500);
    const writes = await indexWrites(outbox.context, record);
    outbox.now += day + 1;
    const { rows } = outbox;
    let late: Promise<unknown> | undefined;
    rows.onWrite = (_, group) => {
      // A process that stood still for a day goes on in the middle of the removal.
      if (late !== undefined || !group.some(({ kind, key }) => kind === 'delete' && key.startsWith('r:'))) return;
      const insert = { kind: 'insert' as const, key: recordKey(record.localId), columns: recordColumns(record) };
      late = rows.write(accountName, [insert, ...writes]).then(
        () => 'accepted',
        () => 'refused',
      );
    };
    await removeLeftIndex(outbox.context, accountName, nothingKept, { signal });
    expect(await late).toBe('refused');
    expect(rows.keys(accountName)).toEqual([]);
  });
});

it('rows of rare ends go with their time, but for those of messages that are kept', async () => {
  const outbox = new MemoryOutbox();
  const ids = [await outbox.accept(), await outbox.accept()].map((id) => id.split('.')[1] ?? '');
  for (const id of ids) {
    await outbox.rows.write(accountName, [{ kind: 'put', key: `e:${id}`, columns: { status: 'failed' } }]);
  }
  const kept = new Set(ids.slice(0, 1));
  await removeLeftIndex(outbox.context, accountName, { before: outbox.now - 1, kept }, { signal });
  expect(outbox.rows.keys(accountName, 'e:')).toHaveLength(2);
  await removeLeftIndex(outbox.context, accountName, { before: outbox.now + 1, kept }, { signal });
  expect(outbox.rows.keys(accountName, 'e:')).toEqual([`e:${ids[0]}`]);
});
