import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { jsonColumns } from '../../platform/rows.ts';
import { recordKey } from '../keys.ts';
import type { Recipient } from '../record.ts';
import { comparableAddress } from './comparable.ts';
import { endedKey, indexKeys, indexRow, unwrittenKey } from './index-rows.ts';
import { removeLeftIndex, removeRecord } from './remove-index.ts';

const dayMs = 86_400_000;
const options = { signal: new AbortController().signal };
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

const keys = () => outbox.rows.keys(accountName).filter((key) => !key.startsWith('o:'));
const recipients = (count: number): Recipient[] =>
  Array.from({ length: count }, (_, n) => ({ address: `reader${n}@example.org`, status: 'accepted' }));

async function accepted(fields: Parameters<MemoryOutbox['accept']>[0] = {}) {
  const id = await outbox.accept(fields);
  const key = recordKey(id.split('.')[1] ?? '');
  return { key, row: (await outbox.rows.get(accountName, key)) ?? expect.fail('no record') };
}

describe('a record that is removed', () => {
  it.each([1, 97, 98, 99, 250])('goes with the rows of its %i recipients', async (count) => {
    const { row } = await accepted({ recipients: recipients(count), status: 'sent' });
    expect(keys()).toHaveLength(count + 2);
    let largest = 0;
    outbox.rows.onWrite = (_, writes) => {
      largest = Math.max(largest, writes.length);
    };
    await removeRecord(outbox.context, accountName, row);
    expect(keys()).toEqual([]);
    expect(largest).toBeLessThanOrEqual(100);
  });

  it('stays, with its rows, where somebody has changed it since it was read', async () => {
    const { key, row } = await accepted({ status: 'sent' });
    const before = keys();
    await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'queued' } }]);
    await removeRecord(outbox.context, accountName, row);
    expect(keys()).toEqual(before);
  });

  it('goes though a version before wrote it, which had no such rows', async () => {
    const { row } = await accepted({ status: 'sent' });
    for (const key of keys().filter((each) => !each.startsWith('m:'))) {
      await outbox.rows.write(accountName, [{ kind: 'delete', key }]);
    }
    await removeRecord(outbox.context, accountName, row);
    expect(keys()).toEqual([]);
  });

  it('stays where storage is away, which is told', async () => {
    const { row } = await accepted({ status: 'sent' });
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(removeRecord(outbox.context, accountName, row)).rejects.toThrow('storage is away');
  });
});

describe('rows that no record stands behind', () => {
  const remove = (kept: readonly string[] = []) =>
    removeLeftIndex(outbox.context, accountName, { before: outbox.now - dayMs, kept: new Set(kept) }, options);
  const at = (ms: number) => newestFirstId(outbox.now + ms);
  const put = async (...rows: readonly string[]) => {
    for (const key of rows) await outbox.rows.write(accountName, [indexRow(key)]);
  };
  /** A mail whose acceptance was cut short, with the rows that it had already. */
  const unwritten = async (localId: string) => {
    const written = indexKeys({ localId, messageId: '<m@example.com>', recipients: recipients(2) });
    await put(...written);
    const columns = { ...jsonColumns(written) };
    await outbox.rows.write(accountName, [{ kind: 'put', key: unwrittenKey(localId), columns }]);
    return [...written, unwrittenKey(localId)];
  };

  it('of messages that ended long ago go; newer ones, and those of a record that stays, do not', async () => {
    const [old, kept, recent] = [at(-2 * dayMs), at(-3 * dayMs), at(-1_000)];
    await put(...[old, kept, recent].map(endedKey));
    await remove([kept]);
    expect(keys().toSorted()).toEqual([kept, recent].map(endedKey).toSorted());
  });

  it('of an acceptance that was cut short go after a day', async () => {
    const rows = await unwritten(at(-dayMs + 1_000));
    await remove();
    expect(keys().toSorted()).toEqual(rows.toSorted());
    outbox.now += 2_000;
    await remove();
    expect(keys()).toEqual([]);
  });

  it('go also where the process that removed them had ended in between', async () => {
    await unwritten(at(-2 * dayMs));
    let writes = 0;
    outbox.rows.onWrite = () => {
      writes += 1;
      if (writes === 2) throw new Error('the process ended');
    };
    await expect(remove()).rejects.toThrow('the process ended');
    outbox.rows.onWrite = () => undefined;
    expect(keys()).not.toEqual([]);
    await remove();
    expect(keys()).toEqual([]);
  });

  it('stay where the record is written at this moment', async () => {
    const localId = at(-2 * dayMs);
    const rows = await unwritten(localId);
    outbox.rows.onWrite = async () => {
      outbox.rows.onWrite = () => undefined;
      await outbox.rows.write(accountName, [{ kind: 'delete', key: unwrittenKey(localId) }]);
    };
    await remove();
    expect(keys().toSorted()).toEqual(rows.filter((key) => key !== unwrittenKey(localId)).toSorted());
  });

  it('stay where storage is away, which is told', async () => {
    await unwritten(at(-2 * dayMs));
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(remove()).rejects.toThrow('storage is away');
  });
});

it.each([
  [' Anna@Example.ORG ', 'anna@example.org'],
  ['INFO@müller.example', 'info@xn--mller-kva.example'],
  [' No Address ', 'no address'],
  ['Ａ', 'ａ'],
  ['e\u0301', '\u00e9'],
])('%j is compared as %j', (address, expected) => {
  expect(comparableAddress(address)).toBe(expected);
});
