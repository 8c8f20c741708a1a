import type { Account } from '../accounts/rules.ts';
import { assetIndexKey } from '../assets/asset.ts';
import { RowConflict, type RowWrite } from '../platform/rows.ts';
import type { CheckedIn } from './check-in.ts';
import { dueKey, fingerprintKey, ledgerKey, scopeKey } from './keys.ts';
import { type LedgerRow, ledgerColumns, readLedger } from './ledger.ts';
import { disposals, dueAt } from './rule.ts';
import type { Work } from './work.ts';

/**
 * Mails checked in together and committed in one transaction of at most 100 rows: four each (ledger, asset index,
 * fingerprint, due), the page's own rows, and the checkpoint.
 */
export const pageSize = 23;

/** What the ledger shall say of a mail that was checked in. */
export function ledgerEntry(account: Account, mail: CheckedIn, abilities: { markRead: boolean }): LedgerRow {
  const due = mail.oversize ? undefined : dueAt(account, mail.importedAt);
  const { store, scope, item } = mail.mail.source;
  return {
    key: ledgerKey(mail.mail.source),
    store,
    scope,
    item,
    folder: mail.mail.folder,
    asset: mail.rest,
    state: 'imported',
    importedAt: mail.importedAt,
    receivedAt: mail.mail.receivedAt,
    listedSize: mail.mail.size,
    size: mail.size,
    sha256: mail.sha256,
    messageId: mail.messageId?.slice(0, 500),
    ...(mail.oversize ? { keepOriginal: true } : {}),
    todoEvent: true,
    todoDispose: disposals(account, abilities, mail.oversize).length > 0,
    dueAt: due,
  };
}

/** The rows that make a ledger row findable: by another source id, and by the day its original is to be deleted. */
export function companionRows(entry: LedgerRow): RowWrite[] {
  const rows: RowWrite[] = [
    {
      kind: 'put',
      key: fingerprintKey(entry.messageId, entry.key),
      columns: {
        scope: scopeKey(entry),
        size: entry.size,
        sha256: entry.sha256,
        ...(entry.receivedAt === undefined ? {} : { receivedAt: entry.receivedAt }),
      },
    },
  ];
  if (entry.dueAt !== undefined) {
    rows.push({ kind: 'put', key: dueKey(entry.dueAt, entry.key), columns: { ledger: entry.key } });
  }
  return rows;
}

function rowsOf(entry: LedgerRow): RowWrite[] {
  return [
    { kind: 'insert', key: entry.key, columns: ledgerColumns(entry) },
    {
      kind: 'put',
      key: assetIndexKey(entry.importedAt, entry.asset),
      columns: { asset: entry.asset, ledger: entry.key },
    },
    ...companionRows(entry),
  ];
}

export interface CommitOptions {
  /** Row of the page in work, ended by the commit. */
  readonly inWork: string;
  /** Row that keeps the page findable until it is settled. */
  readonly unfinished: string;
  /** What else becomes true with the commit: pending rows begun or ended, the checkpoint. */
  readonly alongside: readonly RowWrite[];
}

/**
 * The commit: ledger, asset index and due rows of a page, with everything that must become true with them, in one
 * transaction. A mail that somebody else committed first is left out. Answers the ledger rows that are now to be settled.
 */
export async function commit(work: Work, mails: readonly CheckedIn[], options: CommitOptions): Promise<LedgerRow[]> {
  const { context, name, store, stored } = work;
  const entries = mails.map((mail) => ledgerEntry(stored.account, mail, store.abilities));
  const writes: RowWrite[] = [
    ...entries.flatMap(rowsOf),
    ...options.alongside,
    { kind: 'delete', key: options.inWork },
  ];
  if (entries.length > 0) {
    const keys = entries.map((entry) => entry.key).join('\n');
    writes.push({ kind: 'put', key: options.unfinished, columns: { keys } });
  }
  try {
    await context.rows.write(name, writes);
    return entries;
  } catch (error) {
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    // The very transaction may have been carried out and then repeated by the SDK, its first answer lost.
    if (await context.rows.get(name, options.unfinished, { signal: work.signal })) {
      return entries;
    }
    const there = await readLedger(
      context.rows,
      name,
      entries.map((entry) => entry.key),
      { signal: work.signal },
    );
    const left = mails.filter((mail) => there.every((row) => row.key !== ledgerKey(mail.mail.source)));
    if (left.length === mails.length) {
      throw error;
    }
    // Somebody else committed some of them.
    return await commit(work, left, options);
  }
}
