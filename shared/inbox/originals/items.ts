import { type Row, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { prefixes } from '../keys.ts';
import { type LedgerRow, readLedger } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Rows of one transaction. */
const maxRows = 100;

/** Times that an item is looked at again when others write it too. */
const maxTries = 3;

/**
 * Mails that have something left to do, and the row that stands for it: `u:` a committed page, `d:` a deletion that is
 * due, `x:` a disposal that was refused. Whoever ends the row has done it; so the row is what a process that was stopped
 * has to have, unchanged, before it does anything.
 */
export interface Item {
  readonly holder: string;
  readonly etag: string;
  readonly rows: readonly LedgerRow[];
  /** `due`: the deletion N days after the check-in; `now`: what the account wants right after it. */
  readonly wanted: 'now' | 'due';
  /** Times that it was tried before. */
  readonly attempts: number;
}

/** A page that was committed a moment ago: the key and etag of its row, and its mails. */
export function pageItem(holder: string, etag: string | undefined, rows: readonly LedgerRow[]): Item {
  return { holder, etag: etag ?? '', rows, wanted: 'now', attempts: 0 };
}

type WritesOf = (item: Item) => readonly [RowWrite, ...RowWrite[]];

/** The ledger rows that a row names: one by `ledger`, a page's by `keys`. */
export function ledgerKeysOf({ columns }: Row): readonly string[] {
  const { keys, ledger } = columns;
  return String(keys ?? ledger ?? '')
    .split('\n')
    .filter((key) => key !== '');
}

/** An earlier try ended with the connection, not with an answer: it is to be tried by itself. */
export function isAlone(row: Row): boolean {
  return row.columns.alone === true;
}

/** Items of rows as they are in the table now. */
export async function itemsOf(context: ImportContext, rows: readonly Row[]): Promise<Item[]> {
  const { inbox, account, signal } = context;
  const keys = rows.flatMap(ledgerKeysOf);
  const ledger = new Map((await readLedger(inbox.rows, account, keys, { signal })).map((row) => [row.key, row]));
  return rows.map((row) => ({
    holder: row.key,
    etag: row.etag,
    rows: ledgerKeysOf(row).flatMap((key) => ledger.get(key) ?? []),
    wanted: row.key.startsWith(prefixes.due) || row.columns.wanted === 'due' ? 'due' : 'now',
    attempts: typeof row.columns.attempts === 'number' ? row.columns.attempts : 0,
  }));
}

/**
 * Writes something about items, each together with its holder, and only where that is as it was read. Answers the items as
 * they are then. `writesOf`: the first is the holder's. Where somebody else has ended an item it is left out; where somebody
 * else has written its holder, it is left to them (`leave`), or read and written again (`readAgain`).
 */
export async function writeItems(
  context: ImportContext,
  items: readonly Item[],
  writesOf: WritesOf,
  changed: 'leave' | 'readAgain',
): Promise<Item[]> {
  const { inbox, account } = context;
  const written: Item[] = [];
  for (const group of fitting(items, writesOf)) {
    const writes = group.map(writesOf);
    try {
      const etags = await inbox.rows.write(account, writes.flat());
      let at = 0;
      for (const [index, item] of group.entries()) {
        written.push({ ...item, etag: etags[at] ?? '' });
        at += writes[index]?.length ?? 0;
      }
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      for (const item of group) {
        const alone = await writeAlone(context, item, writesOf, changed);
        if (alone) written.push(alone);
      }
    }
  }
  return written;
}

/** Items whose writes fit one transaction, in which no row may be named twice. */
function fitting(items: readonly Item[], writesOf: WritesOf): Item[][] {
  const groups: Item[][] = [];
  let keys = new Set<string>();
  for (const item of items) {
    const its = writesOf(item).map(({ key }) => key);
    const last = groups.at(-1);
    if (last && keys.size + its.length <= maxRows && its.every((key) => !keys.has(key))) {
      last.push(item);
    } else {
      groups.push([item]);
      keys = new Set();
    }
    for (const key of its) keys.add(key);
  }
  return groups;
}

async function writeAlone(
  context: ImportContext,
  item: Item,
  writesOf: WritesOf,
  changed: 'leave' | 'readAgain',
): Promise<Item | undefined> {
  const { inbox, account, signal } = context;
  let current = item;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const holder = await inbox.rows.get(account, item.holder, { signal });
    if (!holder || (changed === 'leave' && holder.etag !== item.etag)) {
      return undefined;
    }
    const rows = await readLedger(
      inbox.rows,
      account,
      item.rows.map(({ key }) => key),
      { signal },
    );
    current = { ...current, etag: holder.etag, rows };
    try {
      const [etag] = await inbox.rows.write(account, writesOf(current));
      return { ...current, etag: etag ?? '' };
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
    }
  }
  return undefined;
}
