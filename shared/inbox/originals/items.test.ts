import { describe, expect, it } from 'vitest';
import type { RowWrite } from '../../platform/rows.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { dueKey, ledgerKey, prefixes, refusedKey } from '../keys.ts';
import { type LedgerRow, ledgerColumns } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type Item, isAlone, itemsOf, ledgerKeysOf, pageItem, writeItems } from './items.ts';

const signal = new AbortController().signal;

function site() {
  const inbox = new TestInbox();
  const context = { inbox: inbox.context, account: inbox.name, signal } as ImportContext;
  const write = (writes: readonly RowWrite[]) => inbox.rows.write(inbox.name, writes);
  /** A ledger row, put there. */
  async function entry(item: string): Promise<LedgerRow> {
    const source = { store: 'imap:fake', scope: 'INBOX;7', item };
    const row: LedgerRow = {
      key: ledgerKey(source),
      ...source,
      folder: 'INBOX',
      asset: item,
      state: 'imported',
      importedAt: 1,
      size: 1,
      sha256: item,
    };
    await write([{ kind: 'put', key: row.key, columns: ledgerColumns(row) }]);
    return row;
  }
  /** An item for these mails, whose holder is put there. */
  async function item(name: string, mails: readonly string[]): Promise<Item> {
    const rows = await Promise.all(mails.map(entry));
    const holder = prefixes.unfinished + name;
    const columns = { keys: rows.map(({ key }) => key).join('\n') };
    const [etag] = await write([{ kind: 'put', key: holder, columns }]);
    return pageItem(holder, etag, rows);
  }
  const sizes: number[] = [];
  /** From now on, the rows of each write are counted. */
  const count = () => {
    inbox.rows.onWrite = (_, writes) => void sizes.push(writes.length);
  };
  const columnsOf = async (key: string) => (await inbox.rows.get(inbox.name, key))?.columns;
  return { inbox, context, write, entry, item, sizes, count, columnsOf };
}

/** Notes something in the holder and in each ledger row. */
const noted = ({ holder, etag, rows }: Item): readonly [RowWrite, ...RowWrite[]] => [
  { kind: 'merge', key: holder, columns: { noted: true }, etag },
  ...rows.map(({ key }) => ({ kind: 'merge' as const, key, columns: { disposing: true } })),
];

describe('what a row stands for', () => {
  it('is read with the mails that its ledger rows are of', async () => {
    const { inbox, context, write, entry } = site();
    const [a, b] = [await entry('a'), await entry('b')];
    const gone = ledgerKey({ store: 'imap:fake', scope: 'INBOX;7', item: 'gone' });
    await write([
      { kind: 'put', key: `${prefixes.unfinished}p`, columns: { keys: [a.key, gone, b.key].join('\n') } },
      { kind: 'put', key: dueKey(5, a.key), columns: { ledger: a.key } },
      { kind: 'put', key: refusedKey(5, a.key), columns: { ledger: a.key, wanted: 'due', attempts: 2, alone: true } },
      { kind: 'put', key: refusedKey(6, b.key), columns: { ledger: b.key, wanted: 'now', attempts: 1, alone: false } },
      { kind: 'put', key: refusedKey(7, b.key), columns: {} },
    ]);
    const rows = [];
    for (const prefix of [prefixes.unfinished, prefixes.due, prefixes.refused]) {
      rows.push(...(await inbox.rowsOf(prefix)));
    }
    const items = await itemsOf(context, rows);
    expect(items.map(({ wanted, attempts }) => `${wanted} ${attempts}`)).toEqual([
      'now 0',
      'due 0',
      'due 2',
      'now 1',
      'now 0',
    ]);
    expect(items.map((each) => each.rows.map(({ item }) => item).join())).toEqual(['a,b', 'a', 'a', 'b', '']);
    expect(items.map(({ holder, etag }) => [holder, etag])).toEqual(rows.map(({ key, etag }) => [key, etag]));
    expect(rows.map(isAlone)).toEqual([false, false, true, false, false]);
    expect(rows.map((row) => ledgerKeysOf(row).length)).toEqual([3, 1, 1, 1, 0]);
  });
});

describe('writing about items', () => {
  it('takes as many as fit one transaction, and answers them with their new etags', async () => {
    const { context, item, sizes, count, columnsOf } = site();
    // 40 rows each.
    const mails = (name: string) => Array.from({ length: 39 }, (_, n) => `${name}${n}`);
    const items = [await item('a', mails('a')), await item('b', mails('b')), await item('c', mails('c'))];
    count();
    const written = await writeItems(context, items, noted, 'leave');
    expect(sizes).toEqual([80, 40]);
    expect(written.map(({ holder }) => holder)).toEqual(items.map(({ holder }) => holder));
    for (const { holder } of items) expect((await columnsOf(holder))?.noted).toBe(true);
    // Their etags are those of now: they can be written once more.
    expect(await writeItems(context, written, noted, 'leave')).toHaveLength(3);
  });

  it('fills a transaction to its hundredth row', async () => {
    const { context, item, sizes, count } = site();
    const mails = (name: string, length: number) => Array.from({ length }, (_, n) => `${name}${n}`);
    const items = [await item('a', mails('a', 49)), await item('b', mails('b', 49)), await item('c', [])];
    count();
    await writeItems(context, items, noted, 'leave');
    expect(sizes).toEqual([100, 1]);
  });

  it('names no row twice in a transaction', async () => {
    const { context, item, sizes, count } = site();
    const items = [await item('a', ['same']), await item('b', ['same']), await item('c', ['other'])];
    count();
    expect(await writeItems(context, items, noted, 'leave')).toHaveLength(3);
    expect(sizes).toEqual([2, 4]);
  });

  it('leaves out what somebody else has ended, and writes the others', async () => {
    const { context, write, item, columnsOf } = site();
    const [a, b] = [await item('a', ['1']), await item('b', ['2'])];
    await write([{ kind: 'delete', key: a.holder }]);
    const written = await writeItems(context, [a, b], noted, 'readAgain');
    expect(written.map(({ holder }) => holder)).toEqual([b.holder]);
    const left = await columnsOf(a.rows[0]?.key ?? '');
    expect(left).toMatchObject({ asset: '1' });
    expect(left).not.toHaveProperty('disposing');
  });

  it.each([
    ['leave', false],
    ['readAgain', true],
  ] as const)('where somebody else has written a holder: %s', async (changed, isWritten) => {
    const { context, write, item } = site();
    const [a, b] = [await item('a', ['1']), await item('b', ['2'])];
    await write([{ kind: 'merge', key: a.holder, columns: { another: true } }]);
    const written = await writeItems(context, [a, b], noted, changed);
    expect(written.map(({ holder }) => holder)).toEqual(isWritten ? [a.holder, b.holder] : [b.holder]);
    // As with all that is written: with the etags of now.
    expect(await writeItems(context, written, noted, 'leave')).toHaveLength(written.length);
  });

  it('reads ledger rows again that are not what they were', async () => {
    const { context, write, item } = site();
    const a = await item('a', ['1', '2']);
    const [first, second] = a.rows;
    await write([{ kind: 'delete', key: first?.key ?? '' }]);
    const [written] = await writeItems(context, [a], noted, 'leave');
    expect(written?.rows.map(({ key }) => key)).toEqual([second?.key]);
  });

  it('is given up after three tries where others write all the time', async () => {
    const { inbox, context, write, item } = site();
    const a = await item('a', ['1']);
    let tries = 0;
    inbox.rows.onWrite = async (_, writes) => {
      if (writes.length === 1) return;
      tries += 1;
      await write([{ kind: 'merge', key: a.holder, columns: { n: tries } }]);
    };
    expect(await writeItems(context, [a], noted, 'readAgain')).toEqual([]);
    expect(tries).toBe(1 + 3);
  });

  it.each(['together', 'alone'])('fails with storage, %s', async (when) => {
    const { inbox, context, write, item } = site();
    const a = await item('a', ['1']);
    if (when === 'alone') await write([{ kind: 'merge', key: a.holder, columns: {} }]);
    let tries = 0;
    inbox.rows.onWrite = () => {
      tries += 1;
      if (when === 'together' || tries > 1) throw new Error('storage is away');
    };
    await expect(writeItems(context, [a], noted, 'readAgain')).rejects.toThrow('storage is away');
    expect(tries).toBe(when === 'together' ? 1 : 2);
  });

  it('of none writes nothing', async () => {
    const { context, sizes, count } = site();
    count();
    expect([await writeItems(context, [], noted, 'leave'), sizes]).toEqual([[], []]);
  });
});
