import { StoreError } from '../adapters/store.ts';
import { newestFirstId } from '../platform/ids.ts';
import { errorText, log } from '../platform/log.ts';
import { checkpointRow, forgetCheckpoint, readCheckpoint } from './checkpoints.ts';
import { pageSize } from './commit.ts';
import type { InboxContext } from './context.ts';
import type { LeaseView } from './lease.ts';
import { importPage, type Settling } from './page.ts';
import { maxAttempts, readPending, takeOverInWork } from './pending.ts';
import { quarantine } from './quarantine.ts';
import { Reconciler } from './reconcile.ts';
import { askAgain, Rounds } from './rounds.ts';
import { failDeadRuns, noCounts, type Run, writeRun } from './runs.ts';
import { settleUnfinished } from './settle.ts';
import { withSession } from './with-session.ts';
import type { Work } from './work.ts';

/** Mails a run imports at most before it hands over to its continuation: no account keeps a worker for ever. */
const mailBudget = 5_000;

/** A run begins nothing new when this part of its time is over; the rest is for what is under way. */
const newWorkShare = 0.8;

/** A run that met another worker comes back after this. */
const busyRetryMs = 3_000;

/** For what comes after the session: the run's record, the continuation. */
const afterwordMs = 30_000;

export interface ImportOptions {
  /** The run a caller was promised. */
  readonly runId?: string;
  readonly folder?: string;
}

interface Outcome {
  readonly counts: Run;
  readonly more: boolean;
}

/**
 * One import of an account: finishes what earlier runs left, retries pending mail, then goes through the folders from
 * their checkpoints. Within its time and message budget; what is left is queued as a continuation.
 */
export async function runImport(context: InboxContext, account: string, options: ImportOptions): Promise<void> {
  // The run ends by itself before its time: see SessionOptions.budgetMs.
  const signal = AbortSignal.timeout(context.budgetMs + afterwordMs);
  const startedAt = context.clock.now();
  let run: Run = {
    ...noCounts(),
    id: options.runId ?? newestFirstId(startedAt),
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
        await failDeadRuns(context, account, run.id, { signal });
        await writeRun(context, account, run);
      },
      async (work, note): Promise<Outcome> => {
        const keep = () => {
          run = { ...run, ...work.counts };
        };
        try {
          const { more, ...left } = await importEverything(work);
          keep();
          run = { ...run, ...left };
          const noted = note();
          return { counts: noted ? { ...run, error: noted } : run, more };
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
    run = { ...result.result.counts, status: 'done', finishedAt: context.clock.now() };
    await writeRun(context, account, run);
    await context.health.working(account, 'store');
    if (result.result.more) {
      await context.enqueue(account, options.folder === undefined ? {} : { folder: options.folder });
    }
    log.info('inbox.run', { account, run: run.id, ...counts(run), ms: (run.finishedAt ?? 0) - run.startedAt });
  } catch (error) {
    await failed(context, account, run, error);
  }
}

function counts({ imported, skipped, pending, quarantined, disposed }: Run) {
  return { imported, skipped, pending, quarantined, disposed };
}

/** Asks the import under way to go round once more; whatever that does not cover comes back. */
async function whenBusy(
  context: InboxContext,
  account: string,
  { runId, folder }: ImportOptions,
  holder: LeaseView,
): Promise<void> {
  const covered = holder.purpose === 'import' && (holder.folder === undefined || holder.folder === folder);
  if (runId === undefined && covered && (await askAgain(context, account, holder.runId))) {
    return;
  }
  await context.enqueue(account, {
    ...(runId === undefined ? {} : { runId }),
    ...(folder === undefined ? {} : { folder }),
    delayMs: busyRetryMs,
  });
}

async function failed(context: InboxContext, account: string, run: Run, error: unknown): Promise<void> {
  log.error('inbox.runFailed', { account, run: run.id, error: errorText(error) });
  const text = error instanceof StoreError && error.hint ? `${error.message} ${error.hint}` : errorText(error);
  const record: Run = { ...run, status: 'failed', finishedAt: context.clock.now(), error: text.slice(0, 500) };
  // Storage itself may be away; then the next run finds this one dead.
  await writeRun(context, account, record).catch((reason: unknown) =>
    log.error('inbox.runNotRecorded', { account, error: errorText(reason) }),
  );
  if (error instanceof StoreError && error.kind !== 'throttled') {
    const code = error.code ?? error.kind;
    await context.health
      .failing(account, 'store', { code, ...(error.hint ? { hint: error.hint } : {}) })
      .catch((reason: unknown) => log.error('inbox.healthNotRecorded', { account, error: errorText(reason) }));
  }
}

interface Left {
  readonly more: boolean;
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
  const rounds = new Rounds(work);
  try {
    for (;;) {
      await rounds.begin();
      const left = await importRound(work, pipeline, mayBegin);
      await pipeline.idle();
      const again = !left.more && (await rounds.askedAgain());
      if (!again || !mayBegin()) {
        return { ...left, more: left.more || again };
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
  await retryPending(work, reconciler, pipeline, mayBegin);
  const pendingKeys = new Set(
    (await readPending(work.context, work.name, work)).map((pending) => `l:${pending.key.slice(2)}`),
  );
  let backlog = 0;
  let more = false;
  let oldestWaitingAt: number | undefined;
  for (const folder of folders) {
    const left = await importFolder(work, folder, { reconciler, pendingKeys, pipeline, mayBegin });
    backlog += left.backlog;
    more ||= left.more;
    oldestWaitingAt = earliest(oldestWaitingAt, left.oldestWaitingAt);
  }
  await pipeline.idle();
  if (reconciler.rebound > 0) {
    await settleUnfinished(work);
  }
  if (!more) {
    // Mail that only had to be fetched once more, and what this round made pending and may be tried at once.
    await retryPending(work, reconciler, pipeline, mayBegin);
  }
  return { more, backlog, ...(oldestWaitingAt === undefined ? {} : { oldestWaitingAt }) };
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

async function importFolder(work: Work, folder: string, options: FolderOptions): Promise<Left> {
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

async function importSince(work: Work, folder: string, options: FolderOptions): Promise<Left> {
  const { reconciler, pendingKeys, pipeline, mayBegin } = options;
  const before = await readCheckpoint(work, folder);
  const pages = work.session.changes(folder, before, {
    signal: work.signal,
    pageSize,
    details: reconciler.active,
  });
  let saved = JSON.stringify(before);
  for await (const { mails, checkpoint, remaining } of pages) {
    if (mails.length > 0 && !mayBegin()) {
      const oldest = mails.map((mail) => mail.receivedAt).reduce(earliest, undefined);
      return {
        more: true,
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
    const row = checkpointRow(work, folder, checkpoint);
    await pipeline.next(await importPage(work, mails, { reconciler, pendingKeys, checkpoint: [row] }));
  }
  return { more: false, backlog: 0 };
}

/** Tries pending mails again, each alone, oldest first; what has failed too often is quarantined. */
async function retryPending(
  work: Work,
  reconciler: Reconciler,
  pipeline: Pipeline,
  mayBegin: () => boolean,
): Promise<void> {
  const { context, name } = work;
  const due = (await readPending(context, name, work)).filter((pending) => pending.nextTryAt <= context.clock.now());
  for (const pending of due.sort((a, b) => a.attempts - b.attempts)) {
    if (!mayBegin()) {
      return;
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
