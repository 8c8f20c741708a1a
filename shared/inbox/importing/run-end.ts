import { StoreError } from '../../adapters/store.ts';
import { sentencesOf } from '../../adapters/store-troubles.ts';
import { errorText, log } from '../../platform/log.ts';
import { type BacklogOptions, logBacklog } from '../backlog.ts';
import type { InboxContext } from '../context.ts';
import { type Run, writeRun } from '../ledger/runs.ts';
import type { RunCounts } from '../run-counts.ts';

/** For what comes after the session: the run's record, the continuation. */
export const finishGraceMs = 30_000;

/** A run in numbers, for its log line. */
export function counts({ imported, skipped, pending, quarantined, disposed }: Run): RunCounts {
  return { imported, skipped, pending, quarantined, disposed };
}

/** As `logBacklog`, for a run that is over and recorded: what cannot be logged any more is no failure of it. Never throws. */
export async function logBacklogAtEnd(
  inbox: InboxContext,
  account: string,
  run: Run,
  options: BacklogOptions,
): Promise<void> {
  await logBacklog(inbox, account, run, options).catch((reason: unknown) =>
    log.warn('inbox.backlogUnknown', { error: errorText(reason) }),
  );
}

/** A run that has failed, and why. */
export interface EndedRun {
  readonly run: Run;
  /** The last run that knew what it left. */
  readonly before: Run | undefined;
  readonly ms: number;
}

/** Records a failed run, and reports the account as failing where it is the account's trouble. Never throws. */
export async function recordFailure(
  inbox: InboxContext,
  account: string,
  { run, before, ms }: EndedRun,
  error: unknown,
): Promise<void> {
  const kind = error instanceof StoreError ? error.kind : undefined;
  log.error('inbox.runFailed', { ...counts(run), kind, ms, error: errorText(error) });
  const text = error instanceof StoreError ? sentencesOf(error) : errorText(error);
  const record: Run = {
    // As far as a run that failed can know, what waited before still waits.
    ...(before?.backlog === undefined ? {} : { backlog: before.backlog }),
    ...(before?.oldestWaitingAt === undefined ? {} : { oldestWaitingAt: before.oldestWaitingAt }),
    ...run,
    status: 'failed',
    finishedAt: inbox.clock.now(),
    error: text.slice(0, 500),
  };
  // Storage itself may be away; then the next run finds this one dead.
  await writeRun(inbox, account, record).catch((reason: unknown) =>
    log.error('inbox.runNotRecorded', { error: errorText(reason) }),
  );
  const signal = AbortSignal.timeout(finishGraceMs);
  await logBacklogAtEnd(inbox, account, record, { before: before?.backlog ?? 0, pending: undefined, signal });
  // A run that was cut at the end of the process says nothing about the account.
  const cut = inbox.shutdown.stopping.aborted;
  if (error instanceof StoreError && error.kind !== 'throttled' && !cut) {
    const code = error.code ?? error.kind;
    await inbox.health
      .failing(account, 'store', { code, ...(error.hint ? { hint: error.hint } : {}) })
      .catch((reason: unknown) => log.error('inbox.healthNotRecorded', { error: errorText(reason) }));
  }
}
