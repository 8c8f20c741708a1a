import { instantOf, newestFirst } from '../platform/ids.ts';
import { forEachAccount } from '../platform/isolated-jobs.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import { keepKeyMs } from './accepting/idempotency-lock.ts';
import type { OutboxContext } from './context.ts';
import { removeLeftIndex, removeRecord } from './finding/remove-index.ts';
import { failureKey, failuresEnd, idempotencyPrefix, localIdOf, localIdOfBlob, recordKey, recordsEnd } from './keys.ts';
import { openStatuses } from './record.ts';

const dayMs = 86_400_000;

/** Rows or blobs removed of one account in one run of the timer at most; the others follow in the next hour. */
const batch = 2_000;

/** How long things are kept, in days. */
export interface KeepMail {
  /** Frozen MIME of ended messages. */
  readonly mimeDays: number;
  /** Records of ended messages; at least as long as a caller's key, which must find its record. */
  readonly recordDays: number;
}

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Removes what is older than it is to be kept: MIME, records, idempotency keys. What is still open stays. Each removal is
 * conditional on what was read: somebody may take a message up again at any moment.
 */
export async function removeOldMail(context: OutboxContext, keep: KeepMail, options: Options): Promise<void> {
  const now = context.clock.now();
  const recordsBefore = now - Math.max(keep.recordDays * dayMs, keepKeyMs);
  const remove = async (account: string) => {
    await removeMime(context, account, now - keep.mimeDays * dayMs, options);
    await removeRecords(context, account, recordsBefore, options);
    await removeFailures(context, account, recordsBefore, options);
    await removeKeys(context, account, now - keepKeyMs, options);
  };
  await forEachAccount(await context.accountNames(options.signal), remove, { ...options, task: 'removeOldMail' });
}

/** Records removed at a time: each is read whole, for the rows by which it is found. */
const together = 32;

async function removeRecords(context: OutboxContext, account: string, before: number, options: Options) {
  const { rows } = context;
  const kept = new Set<string>();
  let old: Row[] = [];
  const remove = async () => {
    // Writes of the same turn share transactions.
    await Promise.all(old.map((row) => removeRecord(context, account, row)));
    old = [];
  };
  // Keys begin with the newest: from this instant's key on, all are older.
  for await (const row of rows.range(account, recordKey(newestFirst(before)), recordsEnd, { ...options, top: batch })) {
    if (isClosed(row) && !endedSince(row, before)) old.push(row);
    else kept.add(localIdOf(row.key));
    if (old.length === together) await remove();
  }
  await remove();
  await removeLeftIndex(context, account, { before, kept }, options);
}

/** Whether nothing is left to do for a message: neither to send it, nor to copy it, nor to publish its event. */
function isClosed({ columns }: Row): boolean {
  const open = openStatuses.some((status) => status === columns.status);
  return !open && columns.sentCopy !== 'pending' && !columns.event;
}

/** A mail may have been scheduled a year ahead, or sent again: it is kept from its end on. */
function endedSince({ columns: { endedAt } }: Row, since: number): boolean {
  return typeof endedAt === 'number' && endedAt >= since;
}

/** The rows by which `status` finds what failed; they go with the records. */
async function removeFailures({ rows }: OutboxContext, account: string, before: number, options: Options) {
  const old: Row[] = [];
  const range = { ...options, top: batch, select: ['at'] };
  for await (const row of rows.range(account, failureKey(before, ''), failuresEnd, range)) {
    old.push(row);
  }
  await rows.deleteEach(account, old);
}

async function removeKeys({ rows }: OutboxContext, account: string, before: number, options: Options): Promise<void> {
  const old: Row[] = [];
  const query = { ...options, top: batch, filter: `at lt ${before}`, select: ['at'] };
  for await (const row of rows.prefix(account, idempotencyPrefix, query)) {
    old.push(row);
  }
  await rows.deleteEach(account, old);
}

/**
 * Blobs are listed by name, and names begin with the newest. A message whose MIME goes is marked first, by a write that
 * fails where somebody has taken it up since; a marked message cannot be taken up. So a process that stands still here
 * for any time removes no MIME that is needed.
 */
async function removeMime(context: OutboxContext, account: string, before: number, options: Options): Promise<void> {
  const container = await context.mime();
  let left = batch;
  for await (const blob of container.listBlobsFlat({ prefix: `${account}/`, abortSignal: options.signal })) {
    const localId = localIdOfBlob(account, blob.name);
    if (instantOf(localId) < before && (await markMimeRemoved(context, account, { localId, before }, options))) {
      await container.getBlobClient(blob.name).deleteIfExists({ abortSignal: options.signal });
      left -= 1;
      if (left === 0) {
        return;
      }
    }
  }
}

/** False: the message is open, or ended later than `before`. One without a record was never accepted. */
async function markMimeRemoved(
  { rows }: OutboxContext,
  account: string,
  { localId, before }: { readonly localId: string; readonly before: number },
  options: Options,
): Promise<boolean> {
  const row = await rows.get(account, recordKey(localId), options);
  if (!row || row.columns.mimeRemoved === true) {
    return true;
  }
  if (!isClosed(row) || endedSince(row, before)) {
    return false;
  }
  try {
    await rows.write(account, [{ kind: 'merge', key: row.key, columns: { mimeRemoved: true }, etag: row.etag }]);
    return true;
  } catch (error) {
    if (error instanceof RowConflict) {
      return false;
    }
    throw error;
  }
}
