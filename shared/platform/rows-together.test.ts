import { TableClient } from '@azure/data-tables';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { turns } from '../../test/support/turns.ts';
import { RowTable, type RowWrite } from './rows.ts';

let azurite: Azurite;
let table: RowTable;
/** Transactions that have begun and are held back: the keys of their rows, and how to let one go on. */
const held: { readonly keys: readonly string[]; readonly go: () => void }[] = [];
let holds = true;

beforeAll(async () => {
  azurite = await startAzurite();
  const client = TableClient.fromConnectionString(azurite.connectionString, 'rows', { allowInsecureConnection: true });
  await client.createTable();
  client.pipeline.addPolicy({
    name: 'holdWrites',
    async sendRequest(request, next) {
      if (request.method !== 'GET' && holds) {
        const named = `${request.url}\n${request.body}`.matchAll(/RowKey=(?:'|%27)([^'%]*)/g);
        const { promise, resolve } = Promise.withResolvers<void>();
        held.push({ keys: [...named].map(([, key = '']) => key), go: resolve });
        await promise;
      }
      return next(request);
    },
  });
  table = new RowTable(async () => client);
});

afterAll(() => azurite?.stop());

const written: Promise<unknown>[] = [];
afterEach(async () => {
  holds = false;
  for (const { go } of held.splice(0)) go();
  await Promise.all(written.splice(0));
  holds = true;
});

const put = (key: string): RowWrite => ({ kind: 'put', key, columns: { n: 1 } });
const rows = (name: string, count: number) => Array.from({ length: count }, (_, n) => put(`${name}${n}`));

/** Writes a group; it has begun, or waits, when this resolves. */
async function write(partition: string, writes: readonly RowWrite[]): Promise<void> {
  written.push(table.write(partition, writes));
  await turns();
}

/** Letters of the groups of each transaction that has begun. */
const underWay = () => held.map(({ keys }) => [...new Set(keys.map((key) => key.charAt(0)))].join(''));

/** Lets the transaction that began first go on, to its end. */
async function end(): Promise<void> {
  const [first] = held.splice(0, 1);
  const before = held.length;
  first?.go();
  await expect.poll(() => held.length).toBeGreaterThan(before);
}

describe('while a transaction of its partition is under way', () => {
  it('small groups wait for a small one, and share the next', async () => {
    await write('small', rows('a', 2));
    await write('small', rows('b', 2));
    await write('small', rows('c', 1));
    expect(underWay()).toEqual(['a']);
    await end();
    expect(underWay()).toEqual(['bc']);
  });

  it('a large group waits for none, and small ones not for it', async () => {
    await write('large', rows('a', 2));
    await write('large', rows('b', 70));
    expect(underWay()).toEqual(['a', 'b']);
    await write('large', rows('c', 2));
    expect(underWay()).toEqual(['a', 'b']);
    await end();
    expect(underWay()).toEqual(['b', 'c']);
  });

  it('a large group takes along the small ones that wait', async () => {
    await write('along', rows('a', 2));
    await write('along', rows('b', 2));
    await write('along', rows('c', 70));
    expect(underWay()).toEqual(['a', 'bc']);
  });

  it('a large group that does not fit with a small one before it waits with that', async () => {
    await write('order', rows('a', 2));
    await write('order', rows('b', 2));
    await write('order', rows('c', 99));
    expect(underWay()).toEqual(['a']);
    await end();
    expect(underWay()).toEqual(['b', 'c']);
  });

  it('a group of fifty rows is a large one, and one of fewer is not', async () => {
    await write('fifty', rows('a', 2));
    await write('fifty', rows('b', 49));
    expect(underWay()).toEqual(['a']);
    await write('fifty', rows('c', 50));
    expect(underWay()).toEqual(['a', 'bc']);
  });

  it.each([
    ['a large group', 70, 70],
    ['a small one', 70, 1],
    ['a large one behind a small one', 1, 70],
  ])('%s that names a row of it waits', async (partition, first, second) => {
    await write(partition, rows('a', first));
    await write(partition, [...rows('b', second), put('a0')]);
    expect(underWay()).toEqual(['a']);
    await end();
    expect(underWay()).toEqual(['ba']);
  });

  it('no more than three go on at one time', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await write('many', rows(name, 60));
    expect(underWay()).toEqual(['a', 'b', 'c']);
    await end();
    expect(underWay()).toEqual(['b', 'c', 'd']);
  });

  it('what is to be written soon goes with none that begins beside it', async () => {
    await write('soon', rows('a', 70));
    const soon = table.writeSoon('soon', [put('a0')], 600_000);
    await write('soon', rows('b', 70));
    expect(held.map(({ keys }) => keys.length)).toEqual([70, 70]);
    table.endWaiting();
    written.push(soon);
    await turns();
    expect(held).toHaveLength(2);
  });

  it('those of other partitions do not wait', async () => {
    await write('one', rows('a', 2));
    await write('another', rows('b', 2));
    expect(underWay()).toEqual(['a', 'b']);
  });
});
