import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { RowTable, type RowWrite } from './rows.ts';

/** Longer than any test: what is written was not written for its time. */
const long = 600_000;

let azurite: Azurite;
let table: RowTable;
/** Requests that wrote. */
let writes = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  const client = TableClient.fromConnectionString(azurite.connectionString, 'rows', { allowInsecureConnection: true });
  await client.createTable();
  client.pipeline.addPolicy({
    name: 'countWrites',
    sendRequest(request, next) {
      if (request.method !== 'GET') writes += 1;
      return next(request);
    },
  });
  table = new RowTable(async () => client);
});

afterAll(() => azurite?.stop());

beforeEach(() => {
  writes = 0;
});

const put = (key: string): RowWrite => ({ kind: 'put', key, columns: { n: 1 } });
const keysOf = async (partition: string) => {
  const keys: string[] = [];
  for await (const { key } of table.prefix(partition, '')) keys.push(key);
  return keys;
};

describe('what is written soon', () => {
  it('goes with the next write of its partition, in one transaction, and answers its etags', async () => {
    const soon = [table.writeSoon('with', [put('a'), put('b')], long), table.writeSoon('with', [put('c')], long)];
    expect(await keysOf('with')).toEqual([]);
    await table.write('elsewhere', [put('z')]);
    expect(await keysOf('with')).toEqual([]);
    await table.write('with', [put('d')]);
    expect(await keysOf('with')).toEqual(['a', 'b', 'c', 'd']);
    expect(writes).toBe(2);
    const [[a, b] = [], [c] = []] = await Promise.all(soon);
    expect(await Promise.all(['a', 'b', 'c'].map(async (key) => (await table.get('with', key))?.etag))).toEqual([
      a,
      b,
      c,
    ]);
  });

  it('is written by itself when its time is over', async () => {
    await Promise.all([table.writeSoon('alone', [put('a')], 20), table.writeSoon('alone', [put('b')], long)]);
    expect(await keysOf('alone')).toEqual(['a', 'b']);
    expect(writes).toBe(1);
  });

  it('is written at once where much of it waits, or nothing is to wait any more', async () => {
    const many = Array.from({ length: 40 }, (_, n) => table.writeSoon('much', [put(`row${n}`)], long));
    await Promise.all(many);
    expect(await keysOf('much')).toHaveLength(40);
    const last = table.writeSoon('end', [put('a')], long);
    table.endWaiting();
    await last;
    expect(await keysOf('end')).toEqual(['a']);
    expect(writes).toBe(2);
  });

  it('waits for the next transaction where it does not fit', async () => {
    const large = Array.from({ length: 95 }, (_, n) => put(`large${n}`));
    const small = Array.from({ length: 10 }, (_, n) => table.writeSoon('full', [put(`soon${n}`)], long));
    await table.write('full', large);
    expect(await keysOf('full')).toHaveLength(100);
    await table.write('full', [put('next')]);
    await Promise.all(small);
    expect(await keysOf('full')).toHaveLength(106);
    expect(writes).toBe(2);
  });

  it('fails alone where its condition does not hold', async () => {
    const failing = table.writeSoon('conflict', [{ kind: 'merge', key: 'missing', columns: { n: 1 } }], long);
    const conflict = expect(failing).rejects.toMatchObject({ name: 'RowConflict', reason: 'missing' });
    const good = table.writeSoon('conflict', [put('good')], long);
    await table.write('conflict', [put('now')]);
    await Promise.all([conflict, good]);
    expect(await keysOf('conflict')).toEqual(['good', 'now']);
  });
});
