import { accountNameSchema } from '../../accounts/model.ts';
import { digest, newestFirst } from '../../platform/ids.ts';
import { type GivenUp, type HandledGivenUp, nothingOfOurs } from '../../platform/poison-queue.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { runKey } from '../keys.ts';
import { getRun, type Run } from '../ledger/runs.ts';
import { noCounts } from '../run-counts.ts';

interface GivenUpRun {
  readonly account: string;
  /** The run that a caller was promised. */
  readonly runId: string | undefined;
  readonly given: GivenUp;
}

const error = 'The import was begun five times, and each time failed or lost its process; the log has the reason.';

/**
 * Records an import that the queue gave up as a failed run: the promised one, unless it has begun (then a later run sees
 * whether it is still alive), or else one of its own. The schedule goes on in any case.
 */
export async function failGivenUpRun(
  inbox: InboxContext,
  { account, runId, given }: GivenUpRun,
  options: { readonly signal: AbortSignal },
): Promise<HandledGivenUp> {
  if (!accountNameSchema.safeParse(account).success || !(await inbox.account(account, options.signal))) {
    return nothingOfOurs;
  }
  const finishedAt = inbox.clock.now();
  const write: RowWrite | undefined =
    runId === undefined
      ? { kind: 'insert', key: runKey(idOf(given)), columns: ownRun(given, finishedAt) }
      : await endOfPromised(inbox, { account, runId, finishedAt }, options);
  if (!write) return { result: 'left', account, ...(runId === undefined ? {} : { run: runId }) };
  const about = { account, run: runId ?? idOf(given) };
  try {
    await inbox.rows.write(account, [write]);
  } catch (reason) {
    // Recorded before, or begun at this moment.
    if (reason instanceof RowConflict) return { result: 'left', ...about };
    throw reason;
  }
  return { result: 'failed', ...about };
}

/** The same whenever it is asked for: handling may happen twice. */
function idOf({ id, at }: GivenUp): string {
  return newestFirst(at) + digest(14, id);
}

function ownRun({ at }: GivenUp, finishedAt: number): Omit<Run, 'id'> {
  return { ...noCounts(), status: 'failed', startedAt: at, begun: true, finishedAt, error };
}

/** Undefined: the run has begun, has ended, or is not known any more. */
async function endOfPromised(
  inbox: InboxContext,
  { account, runId, finishedAt }: { readonly account: string; readonly runId: string; readonly finishedAt: number },
  options: { readonly signal: AbortSignal },
): Promise<RowWrite | undefined> {
  const run = await getRun(inbox, account, runId, options);
  if (run?.status !== 'running' || run.begun) return undefined;
  const row = await inbox.rows.get(account, runKey(runId), options);
  if (row?.columns.begun !== false || row.columns.status !== 'running') return undefined;
  const columns = { ...row.columns, status: 'failed', finishedAt, error };
  return { kind: 'replace', key: row.key, columns, etag: row.etag };
}
