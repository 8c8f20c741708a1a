import { newestFirstId } from '../../platform/ids.ts';
import { inLogScope, log } from '../../platform/log.ts';
import { ignoreConflict } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { runKey } from '../keys.ts';
import { type AccountRows, readAccountRows } from '../ledger/account-rows.ts';
import { anotherWaits, runRow, writeRun } from '../ledger/runs.ts';
import { noCounts } from '../run-counts.ts';
import { askAgain } from '../session/ask-again.ts';
import type { LeaseView } from '../session/turn-row.ts';
import { withSession } from '../session/with-session.ts';
import { importEverything } from './import-round.ts';
import { finishGraceMs } from './run-end.ts';
import { type Outcome, RunRecord } from './run-record.ts';

/** A run that met another worker comes back after this. */
const leasedRetryMs = 3_000;

/** How an import is run. */
export interface ImportOptions {
  /** The run a caller was promised. */
  readonly runId?: string;
  readonly folder?: string;
}

/**
 * One import of an account: finishes what earlier runs left, retries pending mail, then goes through the folders from
 * their checkpoints. Within its time and message budget; what is left is queued as a continuation.
 */
export async function runImport(inbox: InboxContext, account: string, options: ImportOptions): Promise<void> {
  if (inbox.shutdown.stopping.aborted) {
    // Another process takes it; this one begins nothing any more.
    await inbox.enqueue(account, queueOptions(options));
    return;
  }
  const startedAt = inbox.clock.now();
  const id = options.runId ?? newestFirstId(startedAt);
  await inLogScope({ fields: { account, run: id } }, () =>
    inbox.shutdown.track(importOnce(inbox, account, options, { id, startedAt })),
  );
}

async function importOnce(
  inbox: InboxContext,
  account: string,
  options: ImportOptions,
  { id, startedAt }: { readonly id: string; readonly startedAt: number },
): Promise<void> {
  // The run ends by itself before its time: see SessionOptions.budgetMs.
  const signal = AbortSignal.timeout(inbox.budgetMs + finishGraceMs);
  const promised = options.runId !== undefined;
  let ahead: Promise<AccountRows> | undefined;
  const run = new RunRecord(inbox, account, { ...noCounts(), id, startedAt, status: 'running', begun: true }, promised);
  try {
    const result = await withSession<Outcome>(
      inbox,
      account,
      {
        runId: id,
        purpose: 'import',
        budgetMs: inbox.budgetMs,
        signal,
        ...(options.folder === undefined ? {} : { folder: options.folder }),
        first: () => [runRow(run.now)],
        begin: async (lease) => {
          // While the server is called: signing in takes longer.
          ahead = lease.before.quiet ? undefined : readAccountRows({ inbox, account, signal });
          ahead?.catch(() => undefined);
          await run.begin(lease, signal);
        },
        end: (ended, lease) => run.end(ended, lease),
      },
      async (context, notes) => {
        try {
          const round = await importEverything(context, ahead);
          // Another round begins with what this one has left.
          ahead = undefined;
          return { round, ...notes() };
        } finally {
          run.counted(context.counts);
        }
      },
    );
    if (result.kind === 'inactive') {
      if (promised) {
        const error = 'The account is disabled or has no store';
        await writeRun(inbox, account, { ...run.now, status: 'failed', finishedAt: inbox.clock.now(), error });
      }
      return;
    }
    if (result.kind === 'leased') {
      await whenLeased(inbox, account, options, result.holder);
      return;
    }
    if (result.kind === 'noConnection') {
      await whenNoConnection(inbox, account, { run, options, signal, retryAfterMs: result.retryAfterMs });
      return;
    }
    const { trouble, round } = result.result;
    if (trouble) await inbox.health.failing(account, 'store', trouble);
    if (round.left.more || run.askedTooLate) {
      await inbox.enqueue(account, options.folder === undefined ? {} : { folder: options.folder });
    }
    await run.logEnd({ sawPending: round.left.sawPending, signal });
  } catch (error) {
    if (inbox.shutdown.stopping.aborted) {
      await inbox.enqueue(account, options.folder === undefined ? {} : { folder: options.folder });
    }
    await run.fail(error);
  }
}

/** Asks the import under way to go round once more; whatever that does not cover comes back. */
async function whenLeased(
  inbox: InboxContext,
  account: string,
  options: ImportOptions,
  holder: LeaseView,
): Promise<void> {
  const covered = holder.purpose === 'import' && (holder.folder === undefined || holder.folder === options.folder);
  const signal = AbortSignal.timeout(finishGraceMs);
  if (options.runId === undefined && covered && (await askAgain(inbox, account, holder.runId, { signal }))) {
    return;
  }
  await inbox.enqueue(account, { ...queueOptions(options), delayMs: leasedRetryMs });
}

/**
 * No connection was free: the run waits on the queue, as if it had not begun, with what it did before it was asked to go
 * round once more. One that nobody was promised leaves it to another that waits already, so that they do not pile up while
 * an account has no connection to spare.
 */
async function whenNoConnection(
  inbox: InboxContext,
  account: string,
  left: { run: RunRecord; options: ImportOptions; signal: AbortSignal; retryAfterMs: number },
): Promise<void> {
  const { options, signal, retryAfterMs } = left;
  const run = left.run.now;
  log.info('inbox.noConnectionFree', { account, run: run.id });
  if (!left.run.isPromised && (await anotherWaits(inbox, account, run.id, { signal }))) {
    // It has a row only if it has written anything.
    await inbox.rows.write(account, [{ kind: 'delete', key: runKey(run.id) }]).catch(ignoreConflict);
    return;
  }
  await writeRun(inbox, account, { ...run, begun: false });
  await inbox.enqueue(account, { ...queueOptions({ ...options, runId: run.id }), delayMs: retryAfterMs });
}

function queueOptions({ runId, folder }: ImportOptions) {
  return { ...(runId === undefined ? {} : { runId }), ...(folder === undefined ? {} : { folder }) };
}
