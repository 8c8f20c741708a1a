import { StoreError } from '../adapters/store.ts';
import { newestFirstId } from '../platform/ids.ts';
import { inLogScope, log, msSince } from '../platform/log.ts';
import { checkpointRow, forgetCheckpoint, readCheckpoint } from './checkpoints.ts';
import { pageSize } from './commit.ts';
import type { InboxContext } from './context.ts';
import { runKey } from './keys.ts';
import type { LeaseView } from './lease.ts';
import { importPage, type Settling } from './page.ts';
import { maxAttempts, type PendingMail, readPending, takeOverInWork } from './pending.ts';
import { quarantine } from './quarantine.ts';
import { Reconciler } from './reconcile.ts';
import { askAgain, Rounds } from './rounds.ts';
import { afterwordMs, counts, failed, tellBacklogAtEnd } from './run-end.ts';
import { anotherWaits, failDeadRuns, noCounts, type Run, writeRun } from './runs.ts';
import { settleUnfinished } from './settle.ts';
import { withSession } from './with-session.ts';
import type { Work } from './work.ts';

/** Mails a run imports at most before it hands over to its continuation: no account keeps a worker for ever. */
const mailBudget = 5_000;

/** A run begins nothing new when this part of its time is over; the rest is for what is under way. */
const newWorkShare = 0.8;

/** A run that met another worker comes back after this. */
const busyRetryMs = 3_000;

export interface ImportOptions {
  /** The run a caller was promised. */
  readonly runId?: string;
  readonly folder?: string;
}

interface Outcome {
  readonly counts: Run;
  readonly more: boolean;
  readonly sawPending: boolean;
}

/**
 * One import of an account: finishes what earlier runs left, retries pending mail, then goes through the folders from
 * their checkpoints. Within its time and message budget; what is left is queued as a continuation.
 */
export async function runImport(context: InboxContext, account: string, options: ImportOptions): Promise<void> {
  const startedAt = context.clock.now();
  const id = options.runId ?? newestFirstId(startedAt);
  await inLogScope({ fields: { account, run: id } }, () => importOnce(context, account, options, { id, startedAt }));
}

async function importOnce(
  context: InboxContext,
  account: string,
  options: ImportOptions,
  { id, startedAt }: { readonly id: string; readonly startedAt: number },
): Promise<void> {
  // The run ends by itself before its time: see SessionOptions.budgetMs.
  const signal = AbortSignal.timeout(context.budgetMs + afterwordMs);
  const began = performance.now();
  let before: Run | undefined;
  let run: Run = {
    ...noCounts(),
    id,
    startedAt,
    status: 'running',
    begun: true,
  };
  try {
    const result = await withSession(
      context,
      account,
      {
        runId: run.id,
        purpose: 'import',
        budgetMs: context.budgetMs,
        signal,
        ...(options.folder === undefined ? {} : { folder: options.folder }),
      },
      async () => {
        before = await failDeadRuns(context, account, run.id, { signal });
        await writeRun(context, account, run);
      },
      async (work, note): Promise<Outcome> => {
        const keep = () => {
          run = { ...run, ...work.counts };
        };
        try {
          const { more, sawPending, ...left } = await importEverything(work);
          keep();
          run = { ...run, ...left };
          const noted = note();
          return { counts: noted ? { ...run, error: noted } : run, more, sawPending };
        } finally {
          keep();
        }
      },
    );
    if (result.kind === 'off') {
      if (options.runId) {
        const error = 'The account is disabled or has no store';
        await writeRun(context, account, { ...run, status: 'failed', finishedAt: context.clock.now(), error });
      }
      return;
    }
    if (result.kind === 'busy') {
      await whenBusy(context, account, options, result.holder);
      return;
    }
    if (result.kind === 'full') {
      await whenFull(context, account, { run, options, signal, retryAfterMs: result.retryAfterMs });
      return;
    }
    run = { ...result.result.counts, status: 'done', finishedAt: context.clock.now() };
    await writeRun(context, account, run);
    await context.health.working(account, 'store');
    if (result.result.more) {
      await context.enqueue(account, options.folder === undefined ? {} : { folder: options.folder });
    }
    log.info('inbox.run', { ...counts(run), ms: msSince(began) });
    const hint = { before: before?.backlog ?? 0, pending: result.result.sawPending || run.pending > 0 };
    await tellBacklogAtEnd(context, account, run, hint, signal);
  } catch (error) {
    await failed(context, account, { run, before, ms: msSince(began) }, error);
  }
}

/** Asks the import under way to go round once more; whatever that does not cover comes back. */
async function whenBusy(
  context: InboxContext,
  account: string,
  options: ImportOptions,
  holder: LeaseView,
): Promise<void> {
  const covered = holder.purpose === 'import' && (holder.folder === undefined || holder.folder === options.folder);
  if (options.runId === undefined && covered && (await askAgain(context, account, holder.runId))) {
    return;
  }
  await context.enqueue(account, { ...promised(options), delayMs: busyRetryMs });
}

/**
 * No connection was free: the run waits on the queue, as if it had not begun. One that nobody was promised leaves it to
 * another that waits already, so that they do not pile up while an account has no connection to spare.
 */
async function whenFull(
  context: InboxContext,
  account: string,
  left: { run: Run; options: ImportOptions; signal: AbortSignal; retryAfterMs: number },
): Promise<void> {
  const { run, options, signal, retryAfterMs } = left;
  log.info('inbox.noConnectionFree', { account, run: run.id });
  const promisedRun = options.runId !== undefined;
  if (!promisedRun && (await anotherWaits(context, account, run.id, { signal }))) {
    await context.rows.write(account, [{ kind: 'delete', key: runKey(run.id) }]);
    return;
  }
  await writeRun(context, account, { ...run, begun: false });
  await context.enqueue(account, { ...promised({ ...options, runId: run.id }), delayMs: retryAfterMs });
}

function promised({ runId, folder }: ImportOptions) {
  return { ...(runId === undefined ? {} : { runId }), ...(folder === undefined ? {} : { folder }) };
}

interface Left {
  readonly more: boolean;
  /** Pending mails were met; there may be some still. */
  readonly sawPending: boolean;
  readonly backlog: number;
  readonly oldestWaitingAt?: number;
}

async function importEverything(work: Work): Promise<Left> {
  const { context } = work;
  const started = performance.now();
  const mayBegin = () =>
    performance.now() - started < context.budgetMs * newWorkShare && work.counts.imported < mailBudget;
  await takeOverInWork(work);
  await settleUnfinished(work);
  const pipeline = new Pipeline();
  let sawPending = false;
  const rounds = new Rounds(work);
  try {
    for (;;) {
      await rounds.begin();
      const left = await importRound(work, pipeline, mayBegin);
      sawPending ||= left.sawPending;
      await pipeline.idle();
      const again = !left.more && (await rounds.askedAgain());
      if (!again || !mayBegin()) {
        return { ...left, sawPending, more: left.more || again };
      }
    }
  } finally {
    await pipeline.idle().catch(() => undefined);
  }
}

/** Lets the events and disposals of one page go on while the next page is fetched; never more than one page behind. */
class Pipeline {
  #settling: Promise<void> = Promise.resolve();

  async next(settling: Settling): Promise<void> {
    await this.#settling;
    this.#settling = settling();
    // Its failure is met at the next page or at the end.
    this.#settling.catch(() => undefined);
  }

  async idle(): Promise<void> {
    await this.#settling;
  }
}

async function importRound(work: Work, pipeline: Pipeline, mayBegin: () => boolean): Promise<Left> {
  const { folders } = work;
  const scopes = new Map<string, string>();
  for (const folder of folders) {
    scopes.set(folder, await work.session.scope(folder, work.signal));
  }
  const reconciler = await Reconciler.prepare(work, scopes);
  const waiting = await readPending(work.context, work.name, work);
  await retryPending(work, waiting, reconciler, pipeline, mayBegin);
  let sawPending = waiting.length > 0;
  // Where none waited there are none to be read again: an idle poll is the most frequent run of all.
  const left = sawPending ? await readPending(work.context, work.name, work) : waiting;
  const pendingKeys = new Set(left.map((pending) => `l:${pending.key.slice(2)}`));
  let touched = sawPending;
  let backlog = 0;
  let more = false;
  let oldestWaitingAt: number | undefined;
  for (const folder of folders) {
    const of = await importFolder(work, folder, { reconciler, pendingKeys, pipeline, mayBegin });
    backlog += of.backlog;
    more ||= of.more;
    touched ||= of.touched;
    oldestWaitingAt = earliest(oldestWaitingAt, of.oldestWaitingAt);
  }
  await pipeline.idle();
  if (reconciler.rebound > 0) {
    await settleUnfinished(work);
  }
  if (!more && touched) {
    // Mail that only had to be fetched once more, and what this round made pending and may be tried at once.
    const again = await readPending(work.context, work.name, work);
    await retryPending(work, again, reconciler, pipeline, mayBegin);
    sawPending ||= again.length > 0;
  }
  return { more, sawPending, backlog, ...(oldestWaitingAt === undefined ? {} : { oldestWaitingAt }) };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

interface FolderOptions {
  readonly reconciler: Reconciler;
  readonly pendingKeys: ReadonlySet<string>;
  readonly pipeline: Pipeline;
  readonly mayBegin: () => boolean;
}

/** `touched`: pages were checked in, and may have left mail to be tried again. */
type FolderLeft = Omit<Left, 'sawPending'> & { readonly touched: boolean };

async function importFolder(work: Work, folder: string, options: FolderOptions): Promise<FolderLeft> {
  try {
    return await importSince(work, folder, options);
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'resync') {
      await forgetCheckpoint(work, folder);
      return await importSince(work, folder, options);
    }
    throw error;
  }
}

async function importSince(work: Work, folder: string, options: FolderOptions): Promise<FolderLeft> {
  const { reconciler, pendingKeys, pipeline, mayBegin } = options;
  const before = await readCheckpoint(work, folder);
  const pages = work.session.changes(folder, before, {
    signal: work.signal,
    pageSize,
    details: reconciler.active,
  });
  let saved = JSON.stringify(before);
  let touched = false;
  for await (const { mails, checkpoint, remaining } of pages) {
    if (mails.length > 0 && !mayBegin()) {
      const oldest = mails.map((mail) => mail.receivedAt).reduce(earliest, undefined);
      return {
        more: true,
        touched,
        backlog: mails.length + (remaining ?? 0),
        ...(oldest === undefined ? {} : { oldestWaitingAt: oldest }),
      };
    }
    const now = JSON.stringify(checkpoint);
    if (mails.length === 0 && now === saved) {
      // An idle poll writes nothing.
      continue;
    }
    saved = now;
    touched = true;
    const row = checkpointRow(work, folder, checkpoint);
    await pipeline.next(await importPage(work, mails, { reconciler, pendingKeys, checkpoint: [row] }));
  }
  return { more: false, touched, backlog: 0 };
}

/**
 * Tries pending mails again that are due, each alone, oldest first; what has failed too often is quarantined.
 */
async function retryPending(
  work: Work,
  all: readonly PendingMail[],
  reconciler: Reconciler,
  pipeline: Pipeline,
  mayBegin: () => boolean,
): Promise<void> {
  const { context, name } = work;
  const due = all.filter((pending) => pending.nextTryAt <= context.clock.now());
  for (const pending of due.sort((a, b) => a.attempts - b.attempts)) {
    if (!mayBegin()) {
      break;
    }
    if (pending.attempts >= maxAttempts) {
      await context.rows.write(name, await quarantine(work, pending.mail, pending.reason));
      work.counts.quarantined += 1;
      continue;
    }
    await pipeline.next(
      await importPage(work, [pending.mail], {
        reconciler,
        pendingKeys: new Set(),
        retryOf: pending,
        checkpoint: [],
      }),
    );
  }
}
