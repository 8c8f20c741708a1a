import { z } from 'zod';
import type { ListedMail, SourceId } from '../adapters/store.ts';
import type { Row, RowTable } from '../platform/rows.ts';
import { doubleKeys, ledgerKey, singleKey } from './keys.ts';

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
  /** The original is never deleted (oversize, quarantined). */
  keepOriginal: z.boolean().optional(),
  /** Still to do: the event, the disposal of the original. */
  todoEvent: z.boolean().optional(),
  todoDispose: z.boolean().optional(),
  dueAt: z.number().optional(),
  disposed: z.string().optional(),
});

export type LedgerEntry = z.output<typeof columnsSchema>;

export interface LedgerRow extends LedgerEntry {
  readonly key: string;
}

export function ledgerRow(row: Row): LedgerRow {
  return { ...columnsSchema.parse(row.columns), key: row.key };
}

export function sourceOf(entry: LedgerEntry): SourceId {
  return { store: entry.store, scope: entry.scope, item: entry.item };
}

export function ledgerColumns(entry: LedgerEntry): Record<string, string | number | boolean | undefined> {
  return { ...columnsSchema.parse(entry) };
}

/** Rows a range may bring that were not asked for before single reads are cheaper. */
const rangeRows = 1_000;

/** Single reads under way at once. */
const readsAtOnce = 8;

/**
 * The ledger's rows for the mails of a page, by ledger key. Sources of one scope sort, so a page of UIDs is one query;
 * a page of ids without an order, in a large ledger, is read row by row. `doubles`, where ids do not last: also rows that
 * know the same id with a content, or without one; whether they are the same mail is for its content to decide.
 */
export async function knownMails(
  rows: RowTable,
  account: string,
  mails: readonly ListedMail[],
  options: { readonly signal: AbortSignal; readonly doubles?: boolean },
): Promise<Map<string, LedgerRow>> {
  const { doubles = false } = options;
  const asked = mails.map((mail) => ledgerKey(mail.source));
  const keys = [...new Set(doubles ? asked.flatMap((key) => [key, singleKey(key)]) : asked)].sort();
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
  const behind = (key: string) => (doubles ? doubleKeys(key)[1] : `${key}\u0001`);
  const end = keys.map(behind).sort().at(-1) ?? last;
  for await (const row of rows.range(account, first, end, { top: rangeRows, signal: options.signal })) {
    seen += 1;
    reached = row.key;
    if (wanted.has(row.key) || (doubles && wanted.has(singleKey(row.key)))) {
      known.set(row.key, ledgerRow(row));
    }
  }
  if (seen < rangeRows) {
    return known;
  }
  const left = keys.filter((key) => behind(key) > reached && !known.has(key));
  const reader = async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) {
      const row = await rows.get(account, key, options);
      if (row) {
        known.set(key, ledgerRow(row));
      } else if (doubles) {
        for await (const double of rows.range(account, ...doubleKeys(key), options)) {
          known.set(double.key, ledgerRow(double));
        }
      }
    }
  };
  await Promise.all(Array.from({ length: readsAtOnce }, reader));
  return known;
}

/** Items of one scope that the ledger knows. */
export async function knownItems(
  rows: RowTable,
  account: string,
  scope: string,
  options: { readonly signal: AbortSignal },
): Promise<Set<string>> {
  const known = new Set<string>();
  for await (const row of rows.prefix(account, `l:${scope}:`, { select: ['item'], signal: options.signal })) {
    known.add(String(row.columns.item));
  }
  return known;
}

/** Ledger rows by key; those that are gone are left out. */
export async function readLedger(
  rows: RowTable,
  account: string,
  keys: readonly string[],
  options: { readonly signal: AbortSignal },
): Promise<LedgerRow[]> {
  const found = await Promise.all(keys.map((key) => rows.get(account, key, options)));
  return found.flatMap((row) => (row ? [ledgerRow(row)] : []));
}
