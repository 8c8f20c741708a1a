import { expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { jsonColumns } from '../../platform/rows.ts';
import { ledgerKey, pendingKey, scopeKey } from '../keys.ts';
import { knownItems, knownMails, type LedgerRow, ledgerColumns, readLedger } from './ledger.ts';
import { pendingOf, pendingRow, quarantinePath, readPending } from './pending.ts';

const account = 'corpus';
const options = { signal: new AbortController().signal };

const listed = (item: string, scope = ''): ListedMail => ({
  source: { store: 'pop3:host:user', scope, item },
  folder: 'INBOX',
});

const numbered = (length: number) => Array.from({ length }, (_, n) => String(n).padStart(5, '0'));

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

it.each([
  [
    ['a', 'c', 'd'],
    ['a', 'd'],
  ],
  [
    ['d', 'c', 'a'],
    ['a', 'd'],
  ],
  [[], []],
])('knows the mails of a page, and no others, in whatever order they are listed (%j)', async (page, items) => {
  const rows = await ledgerOf('a', 'b', 'd');
  const before = rows.requests;
  const mails = page.map((item) => listed(item));
  const known = await knownMails(rows, account, mails, options);
  expect([...known.values()].map(({ item }) => item)).toEqual(items);
  expect(rows.requests - before).toBe(page.length === 0 ? 0 : 1);
});

it('knows the items of a scope, and of no other', async () => {
  const rows = await ledgerOf('a', 'b');
  const itemsOf = (scope: string) => knownItems(rows, account, scopeKey(listed('a', scope).source), options);
  expect([await itemsOf(''), await itemsOf('other')]).toEqual([new Set(['a', 'b']), new Set()]);
});

it('knows them in a ledger of any size, although one query reads only so many rows', async () => {
  const rows = await ledgerOf(...numbered(4_000));
  const before = rows.requests;
  const page = ['00000', '00500x', '01500', '03999', '09999'].map((item) => listed(item));
  const known = await knownMails(rows, account, page, options);
  expect([...known.values()].map(({ item }) => item).sort()).toEqual(['00000', '01500', '03999']);
  // A quarter of it by one query, and then each mail that the query did not come to.
  expect(rows.requests - before).toBe(1 + 3);
});

it('where ids do not last, knows rows with a content in a ledger of any size', async () => {
  const hash = '0'.repeat(64);
  const rows = await ledgerOf(...numbered(1_500), `00000 ${hash}`, `09000 ${hash}`);
  const page = ['00000', '01400', '09000'].map((item) => listed(item));
  const known = await knownMails(rows, account, page, { ...options, ambiguous: true });
  expect([...known.values()].map(({ item }) => item).sort()).toEqual([
    '00000',
    `00000 ${hash}`,
    '01400',
    `09000 ${hash}`,
  ]);
});

it('where ids do not last, also knows rows that have the id with a content, or without', async () => {
  const hash = '0'.repeat(64);
  const rows = await ledgerOf(`a ${hash}`, 'b', 'c');
  const page = [listed('a'), listed(`b ${hash}`)];
  expect((await knownMails(rows, account, page, options)).size).toBe(0);
  const known = await knownMails(rows, account, page, { ...options, ambiguous: true });
  expect([...known.values()].map(({ item }) => item).sort()).toEqual([`a ${hash}`, 'b']);
  // Rows of an id that another one begins with stand behind those of the other.
  const both = await knownMails(rows, account, [listed('a'), listed('a.1')], { ...options, ambiguous: true });
  expect([...both.values()].map(({ item }) => item)).toEqual([`a ${hash}`]);
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
  const mail = { ...listed('a'), size: 5, receivedAt: 7, draft: true, messageId: '<a@example.com>' };
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

it.each([{}, { cause: 'doubt' }, { bytes: 7 }])(
  'takes a pending row that does not say more than %j for a mail that failed, to be tried at once',
  (columns) => {
    const { mail, ...state } = pendingOf({
      key: 'p:a',
      etag: '',
      columns: { ...jsonColumns(listed('a')), ...columns },
    });
    const expected = { key: 'p:a', attempts: 0, troubles: 0, nextTryAt: 0, reason: '', cause: { kind: 'failed' } };
    expect([mail, state]).toEqual([listed('a'), expected]);
  },
);

it('keeps no more of a reason than a person reads', () => {
  const { columns } = pendingRow(listed('a'), { attempts: 1, reason: 'x'.repeat(70_000), now: 0 });
  expect(columns.reason).toBe('x'.repeat(300));
});

it('keeps each mail in quarantine in a place of its own', () => {
  expect(quarantinePath('one', 'a')).toBe('one/one.a/message.eml');
});
