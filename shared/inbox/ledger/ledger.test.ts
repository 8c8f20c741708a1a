import { expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { ledgerKey, pendingKey } from '../keys.ts';
import { knownMails, type LedgerRow, ledgerColumns, readLedger } from './ledger.ts';
import { pendingRow, readPending } from './pending.ts';

const account = 'corpus';
const options = { signal: new AbortController().signal };

const listed = (item: string, scope = ''): ListedMail => ({
  source: { store: 'pop3:host:user', scope, item },
  folder: 'INBOX',
});

async function ledgerOf(...items: readonly string[]): Promise<MemoryRows> {
  const rows = new MemoryRows();
  for (const item of items) {
    const { source } = listed(item);
    const entry: LedgerRow = {
      key: ledgerKey(source),
      ...source,
      folder: 'INBOX',
      asset: item,
      state: 'imported',
      importedAt: 1,
      size: 1,
      sha256: item,
    };
    await rows.write(account, [{ kind: 'insert', key: entry.key, columns: ledgerColumns(entry) }]);
  }
  return rows;
}

it('knows the mails of a page, and no others', async () => {
  const rows = await ledgerOf('a', 'b', 'd');
  const known = await knownMails(
    rows,
    account,
    ['a', 'c', 'd'].map((item) => listed(item)),
    options,
  );
  expect([...known.values()].map(({ item }) => item)).toEqual(['a', 'd']);
});

it('knows them in a ledger of any size, although one query reads only so many rows', async () => {
  const items = Array.from({ length: 2_500 }, (_, n) => String(n).padStart(5, '0'));
  const rows = await ledgerOf(...items);
  const page = ['00000', '01500', '02499', '09999'].map((item) => listed(item));
  const known = await knownMails(rows, account, page, options);
  expect([...known.values()].map(({ item }) => item).sort()).toEqual(['00000', '01500', '02499']);
});

it('where ids do not last, also knows rows that have the id with a content, or without', async () => {
  const hash = '0'.repeat(64);
  const rows = await ledgerOf(`a ${hash}`, 'b', 'c');
  const page = [listed('a'), listed(`b ${hash}`)];
  expect((await knownMails(rows, account, page, options)).size).toBe(0);
  const known = await knownMails(rows, account, page, { ...options, ambiguous: true });
  expect([...known.values()].map(({ item }) => item).sort()).toEqual([`a ${hash}`, 'b']);
});

it('leaves out rows that are gone', async () => {
  const rows = await ledgerOf('a');
  const keys = ['a', 'gone'].map((item) => ledgerKey(listed(item).source));
  expect((await readLedger(rows, account, keys, options)).map(({ item }) => item)).toEqual(['a']);
});

it.each([
  [{ kind: 'failed' }],
  [{ kind: 'reread' }],
  [{ kind: 'slow' }],
  [{ kind: 'substitute' }],
  [{ kind: 'doubt', bytes: 17 }],
] as const)('keeps a pending mail with its cause %j as it was', async (cause) => {
  const rows = new MemoryRows();
  const mail = { ...listed('a'), size: 5, receivedAt: 7, messageId: '<a@b>' };
  await rows.write(account, [pendingRow(mail, { attempts: 2, troubles: 1, reason: 'why', now: 1_000, cause })]);
  expect(await readPending({ rows }, account, options)).toEqual([
    {
      key: pendingKey(ledgerKey(mail.source)),
      mail,
      attempts: 2,
      troubles: 1,
      nextTryAt: 1_000 + 4 * 60_000,
      reason: 'why',
      cause,
    },
  ]);
});

it.each([
  [0, 0, 0],
  [1, 0, 1],
  [2, 0, 4],
  [3, 0, 16],
  [4, 0, 64],
  [5, 0, 64],
  [0, 3, 16],
  [1, 2, 4],
])('tries a mail of %i attempts and %i troubles again after %i minutes', async (attempts, troubles, minutes) => {
  const { columns } = pendingRow(listed('a'), { attempts, troubles, reason: '', now: 0 });
  expect(columns.nextTryAt).toBe(minutes * 60_000);
});
