import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { newestFirstId } from '../platform/ids.ts';
import { RowTable } from '../platform/rows.ts';
import { failureKey, openKey } from './keys.ts';
import { transportStatus } from './status.ts';

const options = { signal: new AbortController().signal };
const hour = 3_600_000;

let azurite: Azurite;
let rows: RowTable;

beforeAll(async () => {
  azurite = await startAzurite();
  const client = TableClient.fromConnectionString(azurite.connectionString, 'outbox', {
    allowInsecureConnection: true,
  });
  await client.createTable();
  rows = new RowTable(async () => client);
});
afterAll(() => azurite?.stop());

it('of what storage keeps, mail counts as waiting that is due or was put off: not what is scheduled, nor what has ended', async () => {
  const { context } = new MemoryOutbox();
  const now = context.clock.now();
  const open = {
    ended: { at: now - 5 * hour, columns: { checkAt: now, waitMs: 0, ended: true } },
    putOff: { at: now - 3 * hour, columns: { checkAt: now + hour, waitMs: hour } },
    due: { at: now - 2 * hour, columns: { checkAt: now - hour } },
    scheduled: { at: now - 4 * hour, columns: { checkAt: now + hour } },
  };
  await rows.write(
    accountName,
    Object.values(open).map(({ at, columns }) => ({ kind: 'put', key: openKey(newestFirstId(at)), columns })),
  );
  const failed = [now - 25 * hour, now - 23 * hour, now - hour].map((at) => ({ at, message: newestFirstId(at) }));
  await rows.write(
    accountName,
    failed.map((columns) => ({ kind: 'put', key: failureKey(columns.at, columns.message), columns })),
  );
  expect(await transportStatus({ ...context, rows }, accountName, options)).toEqual({
    waiting: 2,
    oldestWaiting: new Date(open.putOff.at).toISOString(),
    failedWithinDay: 2,
    lastFailure: {
      at: new Date(now - hour).toISOString(),
      message: `${accountName}.${failed.at(-1)?.message}`,
      code: null,
      hint: null,
    },
  });
});
