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

/** A run as it is recorded when it has failed. */
export function failedRun(
  run: Run,
  before: Run | undefined,
  { error, at }: { readonly error: unknown; readonly at: number },
): Run {
  const text = error instanceof StoreError ? sentencesOf(error) : errorText(error);
  return {
    // As far as a run that failed can know, what waited before still waits.
    ...(before?.backlog === undefined ? {} : { backlog: before.backlog }),
    ...(before?.oldestWaitingAt === undefined ? {} : { oldestWaitingAt: before.oldestWaitingAt }),
    ...run,
    status: 'failed',
    finishedAt: at,
    error: text.slice(0, 500),
  };
}

/** How a run has failed. */
export interface Failure {
  readonly error: unknown;
  /** The run is recorded as failed. */
  readonly recorded: boolean;
  /** Somebody else works on the account by now. */
  readonly overtaken: boolean;
}

/** Reports a failed run, and the account as failing where it is the account's trouble. Never throws. */
export async function reportFailure(
  inbox: InboxContext,
  account: string,
  { run, before, ms }: EndedRun,
  { error, recorded, overtaken }: Failure,
): Promise<void> {
  const kind = error instanceof StoreError ? error.kind : undefined;
  log.error('inbox.runFailed', { ...counts(run), kind, ms, error: errorText(error) });
  if (!recorded) {
    // Storage itself may be away; then the next run finds this one dead.
    await writeRun(inbox, account, run).catch((reason: unknown) =>
      log.error('inbox.runNotRecorded', { error: errorText(reason) }),
    );
  }
  const signal = AbortSignal.timeout(finishGraceMs);
  await logBacklogAtEnd(inbox, account, run, { before: before?.backlog ?? 0, pending: undefined, signal });
  // A run that was cut at the end of the process, or overtaken, says nothing about the account as it is now.
  const cut = inbox.shutdown.stopping.aborted || overtaken;
  if (error instanceof StoreError && error.kind !== 'throttled' && !cut) {
    const code = error.code ?? error.kind;
    await inbox.health
      .failing(account, 'store', { code, ...(error.hint ? { hint: error.hint } : {}) })
      .catch((reason: unknown) => log.error('inbox.healthNotRecorded', { error: errorText(reason) }));
  }
}
