import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { dueFilter, dueTime } from './due-time.ts';
import { RowTable } from './rows.ts';

const minute = 60_000;
const hour = 60 * minute;

let azurite: Azurite;
let table: RowTable;

beforeAll(async () => {
  azurite = await startAzurite();
  const client = TableClient.fromConnectionString(azurite.connectionString, 'duetimes', {
    allowInsecureConnection: true,
  });
  await client.createTable();
  table = new RowTable(async () => client);
});
afterAll(() => azurite?.stop());

it.each([
  ['a wait of a minute', 0, minute, 0],
  ['an hour', 0, hour, 0],
  ['a minute by a clock two hours ahead', 2 * hour, minute, -2 * hour],
  ['an hour by a clock two hours ahead', 2 * hour, hour, -2 * hour],
  ['a minute by a clock that is a little ahead', 30_000, minute, 0],
])('%s is due when it should be', async (name, aheadMs, waitMs, correctionMs) => {
  const now = Date.now();
  const at = now + aheadMs + waitMs;
  await table.write(name, [{ kind: 'put', key: 'row', columns: { at, waitMs } }]);
  const row = (await table.get(name, 'row')) ?? expect.fail('no row');
  // Storage's clock and this one are the same here, but for the time that the write took.
  expect(Math.abs(dueTime(row, at, now) - (at + correctionMs))).toBeLessThan(10_000);
});

it('a wait without a length is due when the row says', async () => {
  await table.write('absolute', [{ kind: 'put', key: 'row', columns: { at: 1 } }]);
  const row = (await table.get('absolute', 'row')) ?? expect.fail('no row');
  expect(dueTime(row, Date.now() + 48 * hour, Date.now())).toBeGreaterThan(Date.now() + 47 * hour);
});

it('the filter finds rows that are due or too far ahead, and no others', async () => {
  const now = Date.now();
  const rows = {
    over: { at: now - 1, waitMs: minute },
    waiting: { at: now + hour, waitMs: hour },
    'two hours ahead': { at: now + 2 * hour + minute, waitMs: minute },
    'named by a caller': { at: now + 48 * hour },
    'named by a server': { at: now + 6 * hour, waitMs: 6 * hour },
  };
  await table.write(
    'found',
    Object.entries(rows).map(([key, columns]) => ({ kind: 'put', key, columns })),
  );
  const found: string[] = [];
  for await (const { key } of table.prefix('found', '', { filter: dueFilter('at', now) })) found.push(key);
  expect(found.sort()).toEqual(['over', 'two hours ahead']);
});
