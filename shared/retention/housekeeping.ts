import type { ContainerClient } from '@azure/storage-blob';
import type { AssetLibrary } from '../assets/library.ts';
import { writeAll } from '../inbox/ledger.ts';
import { instantOf, newestFirst } from '../platform/ids.ts';
import type { RowTable } from '../platform/rows.ts';

const dayMs = 86_400_000;

/** Rows or assets removed of one account in one run of the timer at most; the next hour brings the rest. */
const batch = 2_000;

export interface Retention {
  readonly outboxDays: number;
  readonly recordDays: number;
  /** Absent: assets are kept for ever. */
  readonly assetDays: number | undefined;
  /** Idempotency keys, in ms. */
  readonly keyMs: number;
}

export interface HousekeepingContext {
  readonly now: number;
  readonly accounts: readonly string[];
  readonly outboxRows: RowTable;
  readonly inboxRows: RowTable;
  readonly mime: () => Promise<ContainerClient>;
  readonly assets: AssetLibrary;
  readonly retention: Retention;
}

/**
 * Removes what is older than the settings keep: frozen MIME of ended messages, records, idempotency keys, runs, assets.
 * The ledger is never touched: it is what keeps mail from being imported twice.
 */
export async function housekeep(
  context: HousekeepingContext,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  for (const account of context.accounts) {
    await removeMime(context, account, options.signal);
    await removeOlder(
      context.outboxRows,
      account,
      'm:',
      context.now - context.retention.recordDays * dayMs,
      options.signal,
    );
    await removeOlder(
      context.inboxRows,
      account,
      'r:',
      context.now - context.retention.recordDays * dayMs,
      options.signal,
    );
    await removeKeys(context, account, options.signal);
    if (context.retention.assetDays !== undefined) {
      const before = context.now - context.retention.assetDays * dayMs;
      await context.assets.deleteBefore(account, before, { signal: options.signal, top: batch });
    }
  }
}

/** Rows whose key is `newestFirst`, older than an instant, and which nothing waits for. */
async function removeOlder(
  rows: RowTable,
  account: string,
  prefix: 'm:' | 'r:',
  before: number,
  signal: AbortSignal,
): Promise<void> {
  const old: string[] = [];
  const open = prefix === 'm:' ? await openMessages(rows, account, signal) : new Set<string>();
  const range = rows.range(account, prefix + newestFirst(before), `${prefix.slice(0, 1)};`, {
    signal,
    top: batch,
    select: ['status'],
  });
  for await (const row of range) {
    if (instantOf(row.key.slice(2)) < before && !open.has(row.key.slice(2))) {
      old.push(row.key);
    }
  }
  await writeAll(
    rows,
    account,
    old.map((key) => ({ kind: 'delete', key })),
  );
}

async function openMessages(rows: RowTable, account: string, signal: AbortSignal): Promise<Set<string>> {
  const open = new Set<string>();
  for await (const row of rows.prefix(account, 'o:', { signal, select: ['checkAt'] })) {
    open.add(row.key.slice(2));
  }
  return open;
}

async function removeKeys(
  { outboxRows, now, retention }: HousekeepingContext,
  account: string,
  signal: AbortSignal,
): Promise<void> {
  const old: string[] = [];
  const filter = `at lt ${now - retention.keyMs}`;
  for await (const row of outboxRows.prefix(account, 'i:', { signal, top: batch, filter, select: ['at'] })) {
    old.push(row.key);
  }
  await writeAll(
    outboxRows,
    account,
    old.map((key) => ({ kind: 'delete', key })),
  );
}

/** The MIME of ended messages; blobs are listed by name, and names begin with the newest. */
async function removeMime(context: HousekeepingContext, account: string, signal: AbortSignal): Promise<void> {
  const before = context.now - context.retention.outboxDays * dayMs;
  const open = await openMessages(context.outboxRows, account, signal);
  const container = await context.mime();
  let left = batch;
  for await (const blob of container.listBlobsFlat({ prefix: `${account}/`, abortSignal: signal })) {
    const rest = blob.name.slice(account.length + 1).replace(/\.eml$/, '');
    if (instantOf(rest) < before && !open.has(rest)) {
      await container.deleteBlob(blob.name, { abortSignal: signal });
      left -= 1;
      if (left === 0) {
        return;
      }
    }
  }
}
