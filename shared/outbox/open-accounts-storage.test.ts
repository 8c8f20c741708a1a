import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { RowTable } from '../platform/rows.ts';
import { storageClients, tableNames } from '../platform/storage.ts';
import { OpenAccounts } from './open-accounts.ts';

/** The notes of open mail in a storage, which answers only the columns that it is asked for. */

const options = { signal: new AbortController().signal };
let azurite: Azurite;
let rows: RowTable;

beforeAll(async () => {
  azurite = await startAzurite();
  const { connectionString } = azurite;
  const storage = storageClients({ kind: 'connectionString', connectionString }, () => {
    throw new Error('A connection string needs no credential');
  });
  rows = new RowTable(() => storage.table(tableNames.outbox));
});

afterAll(() => azurite?.stop());

it('which accounts have open mail, and until when the others were handed some, is read as it was noted', async () => {
  const time = { now: Date.UTC(2026, 5, 1) };
  const notes = new OpenAccounts(rows, { now: () => time.now });
  for (const name of ['0', 'closed', 'waits']) await notes.note(name);
  time.now += 150_000;
  const due = await notes.due(options);
  expect(due.map(({ key }) => key)).toEqual(['0', 'closed', 'waits']);
  for (const row of due) await notes.looked(row, row.key === 'closed' ? undefined : time.now + 60_000);
  await notes.found('found', time.now - 2, options);
  await notes.found('found', time.now - 1, options);
  expect(await notes.due(options)).toEqual([]);
  expect(await notes.names(options)).toEqual(new Set(['0', 'waits']));
  expect(await notes.noted(options)).toEqual({
    open: new Set(['0', 'waits']),
    handedUntil: new Map([
      ['closed', time.now],
      ['found', time.now - 1],
    ]),
  });
});
