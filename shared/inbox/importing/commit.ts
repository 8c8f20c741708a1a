import type { Account } from '../../accounts/rules.ts';
import { assetIndexKey } from '../../assets/asset.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import { dayOf } from '../../stats/day-total.ts';
import { dueKey, fingerprintKey, keptMessageId, ledgerKey, scopeKey } from '../keys.ts';
import { type LedgerRow, ledgerColumns, readLedger } from '../ledger/ledger.ts';
import { type Item, pageItem } from '../originals/items.ts';
import { disposals, dueAt } from '../originals/rule.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { CheckedIn } from './check-in.ts';
import type { Quarantined } from './quarantine-mail.ts';

/**
 * Mails checked in together and committed in one transaction of at most 100 rows: four each (ledger, asset index,
 * fingerprint, due), the page's own rows, the checkpoint, the run's progress, and what is counted of up
 * to two days.
 */
export const pageSize = 23;

/** What the ledger shall say of a mail that was checked in. */
function ledgerEntry(account: Account, mail: CheckedIn, abilities: { markRead: boolean }): LedgerRow {
  const due = mail.keepOriginal ? undefined : dueAt(account, mail.importedAt);
  const { store, scope, item } = mail.mail.source;
  return {
    key: ledgerKey(mail.mail.source),
    store,
    scope,
    item,
    folder: mail.mail.folder,
    asset: mail.localId,
    state: 'imported',
    importedAt: mail.importedAt,
    receivedAt: mail.mail.receivedAt,
    listedSize: mail.mail.size,
    size: mail.size,
    sha256: mail.sha256,
    messageId: keptMessageId(mail.messageId),
    ...(mail.keepOriginal ? { keepOriginal: true } : {}),
    todoEvent: true,
    ...(mail.bounces ? { todoBounce: true } : {}),
    todoDispose: disposals(account, abilities, mail.keepOriginal).length > 0,
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

/** What mails that are committed add to the counts of their days: one day, unless it is midnight. */
function countRows({ inbox, account }: ImportContext, entries: readonly LedgerRow[]): RowWrite[] {
  const byDay = Map.groupBy(entries, ({ importedAt }) => dayOf(importedAt));
  return [...byDay.values()].map((mails) => {
    const imported = mails.filter(({ state }) => state === 'imported');
    return inbox.dayCounts.row(account, {
      at: mails[0]?.importedAt ?? 0,
      imported: imported.length,
      bytes: imported.reduce((sum, { size }) => sum + size, 0),
      quarantined: mails.length - imported.length,
    });
  });
}

/** The result of a commit. */
export interface Committed {
  readonly imported: number;
  /** What is now to be finished: none, or the page. */
  readonly toFinish: readonly Item[];
}

/** What a commit ends, and what becomes true with it. */
export interface CommitOptions {
  /** Row of the page in progress, ended by the commit. */
  readonly inProgress: string;
  /** Row that keeps the page findable until it is finished. */
  readonly unfinished: string;
  /** Mails of the page that are given up with it. */
  readonly quarantined: readonly Quarantined[];
  /** What else becomes true with the commit: pending rows begun or ended, the checkpoint. */
  readonly alongside: readonly RowWrite[];
}

/**
 * The commit: ledger, asset index and due rows of a page, with everything that must become true with them, in one
 * transaction, which also ends the row of the page in progress: a run that was taken over while it stood still cannot commit.
 * A mail that somebody else committed first is left out. Throws Superseded where another run has taken over.
 */
export async function commit(
  context: ImportContext,
  mails: readonly CheckedIn[],
  options: CommitOptions,
): Promise<Committed> {
  const { inbox, account, store, stored } = context;
  const entries = mails.map((mail) => ledgerEntry(stored.account, mail, store.abilities));
  const toFinish = [...entries, ...options.quarantined.map(({ entry }) => entry)];
  const writes: RowWrite[] = [
    ...entries.flatMap(rowsOf),
    ...options.quarantined.flatMap(({ rows }) => rows),
    ...options.alongside,
    ...countRows(context, toFinish),
    { kind: 'delete', key: options.inProgress },
  ];
  if (toFinish.length > 0) {
    const keys = toFinish.map((entry) => entry.key).join('\n');
    writes.push({ kind: 'put', key: options.unfinished, columns: { keys } });
  }
  try {
    const etags = await inbox.rows.write(account, writes);
    const items = toFinish.length > 0 ? [pageItem(options.unfinished, etags.at(-1), toFinish)] : [];
    return { imported: entries.length, toFinish: items };
  } catch (error) {
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    if (!(await inbox.rows.get(account, options.inProgress, { signal: context.signal }))) {
      throw new Superseded();
    }
    const there = await readLedger(
      inbox.rows,
      account,
      entries.map((entry) => entry.key),
      { signal: context.signal },
    );
    const left = mails.filter((mail) => there.every((row) => row.key !== ledgerKey(mail.mail.source)));
    if (left.length === mails.length) {
      throw error;
    }
    // Somebody else committed some of them.
    return await commit(context, left, options);
  }
}
