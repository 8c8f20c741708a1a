import { afterAll, beforeAll } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { rowsContract } from '../../test/contract/rows.contract.ts';
import { RowTable } from './rows.ts';
import { storageClients, tableNames } from './storage.ts';

let azurite: Azurite;
let table: RowTable;

beforeAll(async () => {
  azurite = await startAzurite();
  const { connectionString } = azurite;
  const storage = storageClients({ kind: 'connectionString', connectionString }, () => {
    throw new Error('A connection string needs no credential');
  });
  table = new RowTable(() => storage.table(tableNames.outbox));
});

afterAll(() => azurite?.stop());

rowsContract(() => table);
