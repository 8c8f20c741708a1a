import { dueFilter, dueTime } from '../../platform/due-time.ts';
import { accountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { copyPrefix, localIdOf, openKey, recordKey } from '../keys.ts';
import { openStatuses, recordOf } from '../record.ts';
import { isBeingCopied } from '../sent-copies/sent-copy-lease.ts';
import { isClaimed } from './claim.ts';

/** Open messages looked at in one run of the timer and account; the others follow in the next minute. */
const batch = 1_000;

/**
 * Queues what has been left: messages whose acceptance or claim lapsed, whose time has come, or whose event
 * is still owed. Nothing depends on a queue message surviving. Answers how many were queued.
 */
export async function recover(context: OutboxContext, options: { readonly signal: AbortSignal }): Promise<number> {
  let queued = 0;
  for (const account of await context.accountNames(options.signal)) {
    try {
      queued += await recoverAccount(context, account, options.signal);
      queued += await recoverCopies(context, account, options.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      log.error('outbox.recoverFailed', { account, error: errorText(error) });
    }
  }
  return queued;
}

async function recoverAccount(context: OutboxContext, account: string, signal: AbortSignal): Promise<number> {
  const now = context.clock.now();
  let queued = 0;
  for (const open of await overdue(context, account, { prefix: openKey(''), signal })) {
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
    const { status, traceId } = recordOf(account, row);
    log.info('outbox.recovered', {
      account,
      message: accountId(account, localId),
      status,
      open: openStatuses.includes(status),
      traceId,
    });
  }
  return queued;
}

/** Queues copies for \Sent that are due and that no queue message seems to be left for. */
async function recoverCopies(context: OutboxContext, account: string, signal: AbortSignal): Promise<number> {
  const now = context.clock.now();
  let queued = 0;
  for (const row of await overdue(context, account, { prefix: copyPrefix, signal })) {
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

/** Rows that somebody should have looked at by now. */
async function overdue(
  context: OutboxContext,
  account: string,
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<readonly Row[]> {
  const now = context.clock.now();
  const rows: Row[] = [];
  for await (const row of context.rows.prefix(account, prefix, {
    filter: dueFilter('checkAt', now),
    top: batch,
    signal,
  })) {
    const { checkAt } = row.columns;
    if (typeof checkAt === 'number' && dueTime(row, checkAt, now) <= now) {
      rows.push(row);
    }
  }
  return rows;
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
