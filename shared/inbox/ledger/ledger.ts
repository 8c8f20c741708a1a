import { z } from 'zod';
import type { ListedMail, SourceId } from '../../adapters/store.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import type { Row, Rows } from '../../platform/rows.ts';
import { contentKeyRange, idKey, ledgerKey, ledgerPrefix } from '../keys.ts';

const columnsSchema = z.object({
  store: z.string(),
  scope: z.string(),
  item: z.string(),
  folder: z.string(),
  /** The asset's id without the account. */
  asset: z.string(),
  state: z.enum(['imported', 'quarantined', 'rebound', 'deleted']),
  importedAt: z.number(),
  receivedAt: z.number().optional(),
  /** Bytes as the server counted them. */
  listedSize: z.number().optional(),
  size: z.number(),
  sha256: z.string(),
  messageId: z.string().optional(),
  /** The original is never deleted (oversize, quarantined, bytes in doubt). */
  keepOriginal: z.boolean().optional(),
  /** When the mail itself took the place of a substitute. */
  completedAt: z.number().optional(),
  /** Still to do: the event, the disposal of the original. */
  todoEvent: z.boolean().optional(),
  todoDispose: z.boolean().optional(),
  /** Still to do: the mail is a bounce, and its message is to know of it. */
  todoBounce: z.boolean().optional(),
  /** Noted before the original is deleted or moved: found with the original gone, it was this service that did it. */
  disposing: z.boolean().optional(),
  /** An earlier try to move the original copied it to this folder, and could not remove it. */
  copiedTo: z.string().optional(),
  dueAt: z.number().optional(),
  disposed: z.string().optional(),
});

export type LedgerEntry = z.output<typeof columnsSchema>;

/** A ledger entry with its key. */
export interface LedgerRow extends LedgerEntry {
  readonly key: string;
}

/** A ledger row, parsed. Throws where its columns make no sense. */
export function ledgerRow(row: Row): LedgerRow {
  return { ...columnsSchema.parse(row.columns), key: row.key };
}

/** The mail at its source that a ledger row is about. */
export function sourceOf(entry: LedgerEntry): SourceId {
  return { store: entry.store, scope: entry.scope, item: entry.item };
}

/** The columns of a ledger row as they are written; its key is not one of them. */
export function ledgerColumns(entry: LedgerEntry): Record<string, string | number | boolean | undefined> {
  return { ...columnsSchema.parse(entry) };
}

/** Rows a range may bring that were not asked for before single reads are cheaper. */
const rangeRows = 1_000;

/** Single reads under way at one time. */
const concurrentReads = 8;

/**
 * The ledger's rows for the mails of a page, by ledger key. Sources of one scope sort, so a page of UIDs is one query;
 * a page of ids without an order, in a large ledger, is read row by row. `ambiguous`, where ids do not last: also rows that
 * know the same id with a content, or without one; whether they are the same mail is for its content to decide.
 */
export async function knownMails(
  rows: Rows,
  account: string,
  mails: readonly ListedMail[],
  options: { readonly signal: AbortSignal; readonly ambiguous?: boolean },
): Promise<Map<string, LedgerRow>> {
  const { ambiguous = false } = options;
  const asked = mails.map((mail) => ledgerKey(mail.source));
  const keys = [...new Set(ambiguous ? asked.flatMap((key) => [key, idKey(key)]) : asked)].sort();
  const first = keys[0];
  const last = keys.at(-1);
  const known = new Map<string, LedgerRow>();
  if (first === undefined || last === undefined) {
    return known;
  }
  const wanted = new Set(keys);
  let seen = 0;
  let reached = first;
  // Behind a key lie those that name its id with a content, and where one id begins with another not even in order.
  const behind = (key: string) => (ambiguous ? contentKeyRange(key)[1] : `${key}\u0001`);
  const end = keys.map(behind).sort().at(-1) ?? last;
  for await (const row of rows.range(account, first, end, { top: rangeRows, signal: options.signal })) {
    seen += 1;
    reached = row.key;
    if (wanted.has(row.key) || (ambiguous && wanted.has(idKey(row.key)))) {
      known.set(row.key, ledgerRow(row));
    }
  }
  if (seen < rangeRows) {
    return known;
  }
  const left = keys.filter((key) => behind(key) > reached && !known.has(key));
  await mapConcurrently(left, concurrentReads, async (key) => {
    const row = await rows.get(account, key, options);
    if (row) {
      known.set(key, ledgerRow(row));
    } else if (ambiguous) {
      for await (const withContent of rows.range(account, ...contentKeyRange(key), options)) {
        known.set(withContent.key, ledgerRow(withContent));
      }
    }
  });
  return known;
}

/** Items of one scope that the ledger knows. */
export async function knownItems(
  rows: Rows,
  account: string,
  scope: string,
  options: { readonly signal: AbortSignal },
): Promise<Set<string>> {
  const known = new Set<string>();
  for await (const row of rows.prefix(account, ledgerPrefix(scope), { select: ['item'], signal: options.signal })) {
    known.add(String(row.columns.item));
  }
  return known;
}

/** Ledger rows by key; those that are gone are left out. */
export async function readLedger(
  rows: Rows,
  account: string,
  keys: readonly string[],
  options: { readonly signal: AbortSignal },
): Promise<LedgerRow[]> {
  const found = await Promise.all(keys.map((key) => rows.get(account, key, options)));
  return found.flatMap((row) => (row ? [ledgerRow(row)] : []));
}
