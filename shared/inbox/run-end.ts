import { explainNetError } from '../adapters/net-errors.ts';
import { StoreError } from '../adapters/store.ts';
import { errorText, log } from '../platform/log.ts';
import { type BacklogHint, tellBacklog } from './backlog.ts';
import type { InboxContext } from './context.ts';
import { listRuns, type Run, type RunCounts, writeRun } from './runs.ts';

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

/** Troubles of a connection that do not pass by themselves: settings and secrets are somebody's to mend. */
const lastingCodes: ReadonlySet<string> = new Set(['SECRET', 'TLS_NOT_ALLOWED', 'STARTTLS_UNAVAILABLE']);

/**
 * Whether the account's store is in trouble. A throttle is none, and one lost connection is the network's: it counts when
 * the run before failed as well.
 */
async function isTrouble(context: InboxContext, account: string, run: Run, error: StoreError): Promise<boolean> {
  const code = error.code ?? error.kind;
  if (error.kind === 'throttled') return false;
  if (error.kind !== 'connection' || lastingCodes.has(code) || explainNetError({ code }).certificate) return true;
  const runs = await listRuns(context, account, { signal: AbortSignal.timeout(afterwordMs), top: 5 }).catch(() => []);
  const before = runs.find((each) => each.id !== run.id && each.finishedAt !== undefined);
  return before?.status === 'failed';
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
  if (error instanceof StoreError && (await isTrouble(context, account, run, error))) {
    const code = error.code ?? error.kind;
    await context.health
      .failing(account, 'store', { code, ...(error.hint ? { hint: error.hint } : {}) })
      .catch((reason: unknown) => log.error('inbox.healthNotRecorded', { error: errorText(reason) }));
  }
}
