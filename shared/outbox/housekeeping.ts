import { instantOf, newestFirst } from '../platform/ids.ts';
import type { OutboxContext } from './context.ts';
import { keepKeyMs } from './idempotency.ts';
import { copyPrefix } from './sent-copy-state.ts';

const dayMs = 86_400_000;

/** Rows or blobs removed of one account in one run of the timer at most; the next hour brings the rest. */
const batch = 2_000;

export interface KeepMail {
  /** Frozen MIME of ended messages. */
  readonly mimeDays: number;
  /** Records of ended messages; at least as long as a caller's key, which must find its record. */
  readonly recordDays: number;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Removes what is older than it is to be kept: MIME, records, idempotency keys. What is still open stays. */
export async function removeOldMail(context: OutboxContext, keep: KeepMail, options: Options): Promise<void> {
  const now = context.clock.now();
  const recordsBefore = now - Math.max(keep.recordDays * dayMs, keepKeyMs);
  for (const account of await context.accountNames(options.signal)) {
    const open = await openMessages(context, account, options);
    await removeMime(context, account, now - keep.mimeDays * dayMs, open, options);
    await removeRecords(context, account, recordsBefore, open, options);
    await removeKeys(context, account, now - keepKeyMs, options);
  }
}

async function openMessages({ rows }: OutboxContext, account: string, options: Options): Promise<ReadonlySet<string>> {
  const open = new Set<string>();
  for (const prefix of ['o:', copyPrefix]) {
    for await (const row of rows.prefix(account, prefix, { ...options, select: ['checkAt'] })) {
      open.add(row.key.slice(prefix.length));
    }
  }
  return open;
}

async function removeRecords(
  { rows }: OutboxContext,
  account: string,
  before: number,
  open: ReadonlySet<string>,
  options: Options,
): Promise<void> {
  const old: string[] = [];
  const range = { ...options, top: batch, select: ['status'] };
  // Keys begin with the newest: from this instant's key on, all are older.
  for await (const row of rows.range(account, `m:${newestFirst(before)}`, 'm;', range)) {
    if (!open.has(row.key.slice(2))) {
      old.push(row.key);
    }
  }
  await rows.deleteAll(account, old);
}

async function removeKeys({ rows }: OutboxContext, account: string, before: number, options: Options): Promise<void> {
  const old: string[] = [];
  const query = { ...options, top: batch, filter: `at lt ${before}`, select: ['at'] };
  for await (const row of rows.prefix(account, 'i:', query)) {
    old.push(row.key);
  }
  await rows.deleteAll(account, old);
}

/** Blobs are listed by name, and names begin with the newest. */
async function removeMime(
  context: OutboxContext,
  account: string,
  before: number,
  open: ReadonlySet<string>,
  options: Options,
): Promise<void> {
  const container = await context.mime();
  let left = batch;
  for await (const blob of container.listBlobsFlat({ prefix: `${account}/`, abortSignal: options.signal })) {
    const rest = blob.name.slice(account.length + 1).replace(/\.eml$/, '');
    if (instantOf(rest) < before && !open.has(rest)) {
      await container.deleteBlob(blob.name, { abortSignal: options.signal });
      left -= 1;
      if (left === 0) {
        return;
      }
    }
  }
}
