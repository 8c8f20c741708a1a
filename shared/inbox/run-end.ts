import { StoreError } from '../adapters/store.ts';
import { errorText, log } from '../platform/log.ts';
import { type BacklogHint, tellBacklog } from './backlog.ts';
import type { InboxContext } from './context.ts';
import { type Run, type RunCounts, writeRun } from './runs.ts';

/** For what comes after the session: the run's record, the continuation. */
export const afterwordMs = 30_000;

/** A run in numbers, for its log line. */
export function counts({ imported, skipped, pending, quarantined, disposed }: Run): RunCounts {
  return { imported, skipped, pending, quarantined, disposed };
}

/** The run is over and written down: what cannot be told about it any more is no failure of it. */
export async function tellBacklogAtEnd(
  context: InboxContext,
  account: string,
  run: Run,
  hint: BacklogHint,
  signal: AbortSignal,
): Promise<void> {
  await tellBacklog(context, account, run, hint, { signal }).catch((reason: unknown) =>
    log.warn('inbox.backlogUnknown', { error: errorText(reason) }),
  );
}

export interface Ended {
  readonly run: Run;
  /** The last run that knew what it left. */
  readonly before: Run | undefined;
  readonly ms: number;
}

/** Writes a failed run down and tells it. Never throws. */
export async function failed(
  context: InboxContext,
  account: string,
  { run, before, ms }: Ended,
  error: unknown,
): Promise<void> {
  const kind = error instanceof StoreError ? error.kind : undefined;
  log.error('inbox.runFailed', { ...counts(run), kind, ms, error: errorText(error) });
  const text = error instanceof StoreError && error.hint ? `${error.message} ${error.hint}` : errorText(error);
  const record: Run = {
    // What waited before waits still, as far as a run can tell that did not come to its end.
    ...(before?.backlog === undefined ? {} : { backlog: before.backlog }),
    ...(before?.oldestWaitingAt === undefined ? {} : { oldestWaitingAt: before.oldestWaitingAt }),
    ...run,
    status: 'failed',
    finishedAt: context.clock.now(),
    error: text.slice(0, 500),
  };
  // Storage itself may be away; then the next run finds this one dead.
  await writeRun(context, account, record).catch((reason: unknown) =>
    log.error('inbox.runNotRecorded', { error: errorText(reason) }),
  );
  const hint = { before: before?.backlog ?? 0, pending: undefined };
  await tellBacklogAtEnd(context, account, record, hint, AbortSignal.timeout(afterwordMs));
  if (error instanceof StoreError && error.kind !== 'throttled') {
    const code = error.code ?? error.kind;
    await context.health
      .failing(account, 'store', { code, ...(error.hint ? { hint: error.hint } : {}) })
      .catch((reason: unknown) => log.error('inbox.healthNotRecorded', { error: errorText(reason) }));
  }
}
