import { mapConcurrently } from '../../platform/concurrency.ts';
import { dueFilter, dueTime } from '../../platform/due-time.ts';
import { accountId, instantOf } from '../../platform/ids.ts';
import { forEachAccount } from '../../platform/isolated-jobs.ts';
import { errorText, log } from '../../platform/log.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { copyPrefix, localIdOf, openPrefix, recordKey, recordPrefix } from '../keys.ts';
import { openStatuses, readableRecord } from '../record.ts';
import { isBeingCopied } from '../sent-copies/sent-copy-lease.ts';
import { isClaimed } from './claim.ts';

/** Open messages looked at in one run of the timer and account; the others follow in the next minute. */
const batch = 1_000;

/** Accounts looked at together. */
const together = 16;

/** An account of which more is open than one look sees is looked at again in the next minute. */
const soonMs = 30_000;

interface Options {
  readonly signal: AbortSignal;
}

/** What a look at an account found. */
interface Looked {
  readonly queued: number;
  /** When the account is to be looked at again, in ms since the epoch; undefined: nothing is open. */
  readonly next: number | undefined;
}

/**
 * Queues what has been left: messages whose acceptance or claim lapsed, whose time has come, or whose event
 * is still owed. Nothing depends on a queue message surviving. One reading where nothing is due; an account that has
 * trouble is looked at again in the next minute. Answers how many were queued.
 */
export async function recover(context: OutboxContext, options: Options): Promise<number> {
  const due = await context.open.due(options);
  const queued = await mapConcurrently(due, together, async (row) => {
    try {
      const looked = await lookAt(context, row.key, options.signal);
      await context.open.looked(row, looked.next);
      return looked.queued;
    } catch (error) {
      options.signal.throwIfAborted();
      log.error('outbox.recoverFailed', { account: row.key, error: errorText(error) });
      return 0;
    }
  });
  return queued.reduce((sum, count) => sum + count, 0);
}

/**
 * As `recover`, for every account there is or was, whatever is noted of it: mail of a process that was ended between its
 * mail and the note of that, or of an earlier version, which made none. So is until when mail was handed in. Throws where
 * an account's mail cannot be read.
 */
export async function recoverEverywhere(context: OutboxContext, options: Options): Promise<void> {
  const { handedUntil } = await context.open.noted(options);
  const look = async (account: string) => {
    const { next } = await lookAt(context, account, options.signal);
    if (next !== undefined) return await context.open.note(account);
    const newest = await newestMail(context, account, options);
    if (newest > (handedUntil.get(account) ?? -1)) await context.open.found(account, newest, options);
  };
  await forEachAccount(await context.accountNames(options.signal), look, { ...options, task: 'recoverEverywhere' });
}

/** When the newest mail of an account was handed in, in ms since the epoch; 0: it has none. */
async function newestMail({ rows }: OutboxContext, account: string, { signal }: Options): Promise<number> {
  for await (const { key } of rows.prefix(account, recordPrefix, { select: [], top: 1, signal }))
    return instantOf(localIdOf(key));
  return 0;
}

async function lookAt(context: OutboxContext, account: string, signal: AbortSignal): Promise<Looked> {
  const mails = await open(context, account, { prefix: openPrefix, signal });
  const copies = await open(context, account, { prefix: copyPrefix, signal });
  const queued =
    (await recoverMails(context, account, mails, signal)) + (await recoverCopies(context, account, copies));
  const now = context.clock.now();
  const all = [...mails.waiting, ...copies.waiting];
  // What is overdue has been put off, or is in somebody's hands.
  const isSoon = mails.overdue.length + copies.overdue.length > 0 || mails.isCut || copies.isCut;
  if (all.length === 0 && !isSoon) return { queued, next: undefined };
  return { queued, next: Math.min(...all, isSoon ? now + soonMs : Number.POSITIVE_INFINITY) };
}

async function recoverMails(
  context: OutboxContext,
  account: string,
  { overdue }: Open,
  signal: AbortSignal,
): Promise<number> {
  const now = context.clock.now();
  let queued = 0;
  for (const open of overdue) {
    const localId = localIdOf(open.key);
    const row = await context.rows.get(account, recordKey(localId), { signal });
    if (!row) {
      await context.rows.deleteEach(account, [open]);
      continue;
    }
    if (isClaimed(row, now) || !(await lookAgainLater(context, account, open))) {
      continue;
    }
    await context.enqueue(accountId(account, localId), 0);
    queued += 1;
    // One that cannot be read is given up by the queue (given-up.ts); the others are not to wait for that.
    const record = readableRecord(account, row);
    log.info('outbox.recovered', {
      account,
      message: accountId(account, localId),
      status: record?.status,
      open: !record || openStatuses.includes(record.status),
      traceId: record?.traceId,
    });
  }
  return queued;
}

/** Queues copies for \Sent that are due and that no queue message seems to be left for. */
async function recoverCopies(context: OutboxContext, account: string, { overdue }: Open): Promise<number> {
  const now = context.clock.now();
  let queued = 0;
  for (const row of overdue) {
    // Its holder sees to it.
    if (isBeingCopied(row, now) || !(await lookAgainLater(context, account, row))) {
      continue;
    }
    const id = accountId(account, localIdOf(row.key));
    await context.enqueueCopy(id, 0);
    queued += 1;
    log.info('outbox.copyRecovered', { account, message: id });
  }
  return queued;
}

/** Open rows of one kind of an account. */
interface Open {
  /** Those that somebody should have looked at by now. */
  readonly overdue: readonly Row[];
  /** When each of the others is due, in ms since the epoch. */
  readonly waiting: readonly number[];
  /** There are more. */
  readonly isCut: boolean;
}

async function open(
  context: OutboxContext,
  account: string,
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<Open> {
  const now = context.clock.now();
  const read = async (filter: { readonly filter?: string }): Promise<Open> => {
    const overdue: Row[] = [];
    const waiting: number[] = [];
    let rows = 0;
    for await (const row of context.rows.prefix(account, prefix, { ...filter, top: batch, signal })) {
      const { checkAt } = row.columns;
      rows += 1;
      const due = typeof checkAt === 'number' ? dueTime(row, checkAt, now) : Number.POSITIVE_INFINITY;
      if (due <= now) overdue.push(row);
      else waiting.push(due);
    }
    return { overdue, waiting, isCut: rows === batch };
  };
  const first = await read({});
  return first.isCut ? { ...(await read({ filter: dueFilter('checkAt', now) })), isCut: true } : first;
}

/** A message queued again is looked at again after this; copies on the queue are harmless, only not free. */
const recheckMs = 2 * 60_000;

/** Queued again no sooner than a claim could lapse: a full queue must not be filled with copies. False: somebody was faster. */
async function lookAgainLater(context: OutboxContext, account: string, { key, etag }: Row): Promise<boolean> {
  const columns = { checkAt: context.clock.now() + recheckMs, waitMs: recheckMs };
  try {
    await context.rows.write(account, [{ kind: 'merge', key, columns, etag }]);
    return true;
  } catch (error) {
    if (error instanceof RowConflict) {
      return false;
    }
    throw error;
  }
}
