import type { Receipt } from '../../adapters/transport.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { dueTime } from '../../platform/due-time.ts';
import { accountId, splitAccountId } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import { RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { frozenMail } from '../delivering/frozen-mail.ts';
import { connectionPaceMs } from '../delivering/requeue.ts';
import { copyKey, recordKey } from '../keys.ts';
import { recordOf } from '../record.ts';
import { earlyMs, stopGraceMs } from '../timing.ts';
import { withWorker } from '../with-worker.ts';
import { isBeingCopied, SentCopyLease } from './sent-copy-lease.ts';
import { afterCopy, type CopyState, checkColumns, copyStateOf, endedCopy, requeuedCopy } from './sent-copy-state.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** As `saveSentCopy`, by one of the workers that all accounts share: a copy whose account has its share of them is requeued. */
export async function saveSentCopyFromQueue(context: OutboxContext, id: string, options: Options): Promise<void> {
  await withWorker(context, id, {
    run: () => saveSentCopy(context, id, options),
    requeue: ({ account, localId }, paceMs) => requeueUnread(context, account, localId, paceMs),
  });
}

/**
 * Puts the copy of a sent message into its account's \Sent folder, once. It never touches how the message itself went.
 * Calling it again, at any time and from anywhere, is harmless.
 */
export async function saveSentCopy(context: OutboxContext, id: string, options: Options): Promise<void> {
  await context.shutdown.track(saveOnce(context, id, options));
}

async function saveOnce(context: OutboxContext, id: string, options: Options): Promise<void> {
  if (context.shutdown.stopping.aborted) {
    // Another process takes it; this one begins nothing any more.
    await context.enqueueCopy(id, 0);
    return;
  }
  const parts = splitAccountId(id);
  const row = parts && (await context.rows.get(parts.account, copyKey(parts.localId), options));
  const now = context.clock.now();
  if (!parts || !row) {
    return;
  }
  if (isBeingCopied(row, now) || dueTime(row, copyStateOf(row).dueAt, now) > now + earlyMs) {
    return;
  }
  const lease = await SentCopyLease.acquire(context, parts.account, row);
  if (!isAcquired(lease)) {
    return;
  }
  // From the commit point on the answer is waited for.
  const stop = context.shutdown.cutAfter(stopGraceMs, () => lease.state.committedAt === undefined);
  const signal = AbortSignal.any([options.signal, lease.lost, stop.signal]);
  try {
    const before = lease.state;
    const attempted = before.ended
      ? { state: before }
      : await attempt(context, lease, signal).catch((error: unknown): Attempted => {
          if (!stop.signal.aborted) throw error;
          return { state: before };
        });
    const { ended, committedAt } = attempted.state;
    const stopped = stop.signal.aborted && ended === undefined && committedAt === undefined;
    await finish(context, id, lease, stopped ? { state: requeuedCopy(before, context.clock.now()) } : attempted);
  } catch (error) {
    lease.release();
    if (!(error instanceof LeaseLost)) {
      throw error;
    }
  } finally {
    stop.forget();
  }
}

/** Requeues a copy unread, because its account has its share of the workers. */
async function requeueUnread(context: OutboxContext, account: string, localId: string, paceMs: number): Promise<void> {
  const now = context.clock.now();
  const at = context.schedule.next(account, 'workers', 0, paceMs);
  try {
    await context.rows.write(account, [{ kind: 'merge', key: copyKey(localId), columns: checkColumns(at, now) }]);
  } catch (error) {
    // Nothing is left to do for it.
    if (error instanceof RowConflict) return;
    throw error;
  }
  await context.enqueueCopy(accountId(account, localId), at - now);
}

interface Attempted {
  readonly state: CopyState;
  readonly trouble?: Receipt['trouble'];
}

async function attempt(context: OutboxContext, lease: SentCopyLease, signal: AbortSignal): Promise<Attempted> {
  const { localId } = lease;
  const now = () => context.clock.now();
  const row = await context.rows.get(lease.account, recordKey(localId), { signal });
  const account = await context.account(lease.account, signal);
  const transport = account && (await context.sentCopies(account));
  if (!row || !transport) {
    const trouble = {
      scope: 'account' as const,
      code: account ? (row ? 'noStore' : 'messageDeleted') : 'accountDeleted',
    };
    return { state: endedCopy(lease.state, 'failed', now()), trouble };
  }
  if (!account.enabled) {
    const trouble = { scope: 'account' as const, code: 'accountDisabled' };
    return { state: afterCopy(lease.state, { recipients: [], trouble }, now(), context.retryWaits), trouble };
  }
  const record = recordOf(lease.account, row);
  // Nobody of its recipients: the copy is for the one who sent it.
  const mail = frozenMail(context, record, [record.headerFrom]);
  const { committedAt, note } = lease.state;
  const asked = {
    signal,
    remember: (text: string) => lease.remember(text),
    ...(note === undefined ? {} : { remembered: note }),
  };
  const beforeCommit = async () => {
    signal.throwIfAborted();
    await lease.commit();
  };
  const receipt =
    committedAt === undefined
      ? await transport.send(mail, { ...asked, beforeCommit })
      : await transport.resolveUncertain?.(mail, { ...asked, sinceCommitMs: now() - committedAt });
  const trouble = receipt?.trouble;
  if (trouble?.scope === 'limit') {
    const at = context.schedule.next(lease.account, 'copyConnections', trouble.retryAfterMs ?? 0, connectionPaceMs);
    return { state: requeuedCopy(lease.state, at), trouble };
  }
  return { state: afterCopy(lease.state, receipt, now(), context.retryWaits), ...(trouble ? { trouble } : {}) };
}

/** Writes down the result of an attempt: how the copy ended, into the message's record; or when it is tried again. */
async function finish(
  context: OutboxContext,
  id: string,
  lease: SentCopyLease,
  { state, trouble }: Attempted,
): Promise<void> {
  const fields = { account: lease.account, message: id, attempts: state.attempts, code: trouble?.code };
  const { ended } = state;
  if (ended === undefined) {
    await lease.finish(state);
    log.info('outbox.copyWaits', { ...fields, scope: trouble?.scope });
    await context.enqueueCopy(id, state.dueAt - context.clock.now());
  } else if (await lease.end(ended)) {
    if (ended === 'saved') {
      log.info('outbox.copySaved', fields);
    } else {
      log.warn('outbox.copyGivenUp', { ...fields, outcome: ended });
    }
  } else {
    await lease.finish(endedCopy(state, ended, context.clock.now()));
  }
}
