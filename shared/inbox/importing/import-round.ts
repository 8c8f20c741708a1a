import type { Checkpoint, ListedMail } from '../../adapters/store.ts';
import { StoreError } from '../../adapters/store.ts';
import { untilAborted } from '../../platform/abort.ts';
import { type AccountRows, readAccountRows } from '../ledger/account-rows.ts';
import { type CheckpointRow, Checkpoints } from '../ledger/checkpoints.ts';
import { readTurnAndOpen } from '../ledger/open-rows.ts';
import { recoverInterrupted } from '../ledger/pages-in-progress.ts';
import { type PendingMail, readPending } from '../ledger/pending.ts';
import type { Quiet } from '../ledger/quiet.ts';
import { progressRow } from '../ledger/runs.ts';
import { finishUnfinished, publishUnfinished, retryRefused } from '../originals/finish.ts';
import type { RunCounts } from '../run-counts.ts';
import type { ImportContext } from '../session/import-context.ts';
import { pipelineOf } from './after-commit.ts';
import { pageSize } from './commit.ts';
import { FolderFailures } from './folder-failures.ts';
import { PageImport } from './page.ts';
import { PageLine } from './page-line.ts';
import { Reconciler } from './reconcile.ts';
import { pendingLedgerKeys, retryIndividually } from './retry.ts';
import type { RoundContext } from './round-context.ts';
import { RunTime } from './run-time.ts';
import { ServerEvidence } from './server-evidence.ts';
import { StartingPoints } from './starting-points.ts';

/** What a run leaves to the next one. */
export interface Left {
  readonly more: boolean;
  /** Pending mails were met; there may be some still. */
  readonly sawPending: boolean;
  readonly backlog: number;
  readonly oldestWaitingAt?: number;
}

/** What a round has come to. */
export interface Round {
  readonly left: Left;
  /** What the next run need not read; undefined where it has to. */
  readonly quiet: Quiet | undefined;
  /** There is time for another round. */
  readonly mayGoRound: boolean;
}

/**
 * Everything an import does with its session: what earlier runs left, then the folders. `ahead`: what the round begins with,
 * as it is read since the turn was taken; absent: it is read now, where it is not known.
 */
export async function importEverything(context: ImportContext, ahead?: Promise<AccountRows>): Promise<Round> {
  const time = new RunTime(context);
  const found = context.found ?? { open: (await readTurnAndOpen(context)).open, quiet: undefined };
  const { interrupted, unfinished, refused } = found.open;
  await recoverInterrupted(context, interrupted);
  await publishUnfinished(context, unfinished);
  const pipeline = pipelineOf(context);
  try {
    // What was left in work is pending by now: nothing that was read before holds.
    const rows = interrupted.length > 0 ? await readAccountRows(context) : await firstRows(context, found.quiet, ahead);
    const { left, quiet } = await importRound(context, { pipeline, time, rows });
    await pipeline.idle();
    // Never before an import: whatever is wrong with an original must not keep new mail out.
    if (unfinished.length > 0) await finishUnfinished(context);
    if (refused) await retryRefused(context, () => time.mayBegin());
    return { left, quiet, mayGoRound: time.mayBegin() };
  } finally {
    await pipeline.idle().catch(() => undefined);
  }
}

/** What a round begins with, where no page was left in work: as it is known, as it is being read, or as it is read now. */
async function firstRows(
  context: ImportContext,
  quiet: Quiet | undefined,
  ahead: Promise<AccountRows> | undefined,
): Promise<AccountRows> {
  if (quiet) return { ...quiet, pending: [] };
  return await (ahead ? untilAborted(ahead, context.signal) : readAccountRows(context));
}

interface RoundOptions extends Pick<RoundContext, 'pipeline' | 'time'> {
  readonly rows: AccountRows;
}

async function importRound(
  context: ImportContext,
  { pipeline, time, rows }: RoundOptions,
): Promise<Pick<Round, 'left' | 'quiet'>> {
  const checkpoints = await Checkpoints.read(context, rows.checkpoints);
  const failures = new FolderFailures(context);
  const folders = checkpoints.troubledLast(context.folders);
  const scopes = new Map<string, string>();
  for (const folder of folders) {
    const scope = await failures.attempt(folder, () =>
      context.session.scope(folder, context.signal, checkpoints.of(folder)),
    );
    if (scope !== undefined) {
      scopes.set(folder, scope);
    }
  }
  const reconciler = await Reconciler.prepare(context, scopes, { checkpoints, failures, known: rows.scopes });
  const evidence = new ServerEvidence(context);
  const starts = new StartingPoints(context, checkpoints);
  for (const folder of scopes.keys()) {
    if (starts.isMissing(folder)) {
      await failures.attempt(folder, () => starts.note(folder));
    }
  }
  const progress = (counts: RunCounts) => progressRow(context.runId, counts);
  const round: RoundContext = { context, time, evidence, reconciler, failures, starts, pipeline, progress };
  // Nothing may be imported of a folder before it is noted what it held.
  const begun = [...scopes.keys()].filter((folder) => !starts.isMissing(folder));
  const left = await importFolders(round, begun, { checkpoints, waiting: rows.pending });
  if (failures.lostAt !== undefined) {
    const lost = checkpoints.lostRow(failures.lostAt);
    await context.fence.write([lost]);
    checkpoints.written(lost);
  }
  failures.finish(folders);
  const quiet = left.sawPending ? undefined : { checkpoints: checkpoints.rows, scopes: reconciler.scopes };
  return { left, quiet };
}

interface FoldersOptions {
  readonly checkpoints: Checkpoints;
  /** Pending mails. */
  readonly waiting: readonly PendingMail[];
}

async function importFolders(
  round: RoundContext,
  folders: readonly string[],
  { checkpoints, waiting }: FoldersOptions,
): Promise<Left> {
  const { context, failures, pipeline, reconciler } = round;
  await retryIndividually(round, waiting, 'first');
  let sawPending = waiting.length > 0;
  // If none waited, none need to be read again: an idle poll is the most frequent run of all.
  const pending = sawPending ? await readPending(context.inbox, context.account, context) : waiting;
  const pendingKeys = pendingLedgerKeys(pending);
  let touched = sawPending;
  let backlog = 0;
  let more = false;
  let oldestWaitingAt: number | undefined;
  for (const folder of folders) {
    const left = await failures.attempt(folder, () => importFolder(round, folder, { checkpoints, pendingKeys }), {
      serves: true,
    });
    if (left === undefined) {
      // What was checked in before the failure may have left mail to be tried again.
      touched = true;
      continue;
    }
    backlog += left.backlog;
    more ||= left.more;
    touched ||= left.touched;
    oldestWaitingAt = earliest(oldestWaitingAt, left.oldestWaitingAt);
  }
  await pipeline.idle();
  if (reconciler.rebound > 0) {
    await finishUnfinished(context);
  }
  if (touched) {
    let left = await readPending(context.inbox, context.account, context);
    if (left.length > 0) {
      sawPending = true;
      if (!more) {
        // Mail that only had to be fetched once more, and what this round made pending and may be tried at once.
        await retryIndividually(round, left, 'first');
        left = await readPending(context.inbox, context.account, context);
      }
      // Last, so that a mail that takes all the time there is keeps no other out.
      await retryIndividually(round, left, 'last');
    }
  }
  return { more, sawPending, backlog, ...(oldestWaitingAt === undefined ? {} : { oldestWaitingAt }) };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

interface FolderOptions {
  readonly checkpoints: Checkpoints;
  readonly pendingKeys: ReadonlySet<string>;
}

/** `touched`: pages were checked in, and may have left mail to be tried again. */
type FolderLeft = Omit<Left, 'sawPending'> & { readonly touched: boolean };

async function importFolder(round: RoundContext, folder: string, options: FolderOptions): Promise<FolderLeft> {
  try {
    return await importSince(round, folder, options);
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'resync') {
      const forgotten = options.checkpoints.forgottenRow(folder);
      await round.context.fence.write([forgotten]);
      options.checkpoints.written(forgotten);
      return await importSince(round, folder, options);
    }
    throw error;
  }
}

async function importSince(round: RoundContext, folder: string, options: FolderOptions): Promise<FolderLeft> {
  const line = new PageLine(round);
  let left: FolderLeft;
  try {
    left = await importPages(round, folder, { ...options, line });
  } catch (error) {
    // What failed before it is the reason, and pages before the failure are committed.
    await line.drain();
    throw error;
  }
  await line.drain();
  return left;
}

async function importPages(
  round: RoundContext,
  folder: string,
  options: FolderOptions & { readonly line: PageLine },
): Promise<FolderLeft> {
  const { context, time, reconciler } = round;
  const { checkpoints, pendingKeys, line } = options;
  const before = checkpoints.of(folder);
  const pages = context.session.changes(folder, before, {
    signal: context.signal,
    pageSize,
    details: reconciler.active,
  });
  let saved = stateOf(before);
  let touched = false;
  // A page is noted while the one before it waits for the session.
  let ahead: { added: Promise<boolean>; mails: readonly ListedMail[]; remaining: number | undefined } | undefined;
  /** What is left where there was no time for the last page. */
  const leftAhead = async (): Promise<FolderLeft | undefined> =>
    ahead && !(await ahead.added) ? { more: true, touched, ...waitingOf(ahead.mails, ahead.remaining) } : undefined;
  for await (const { mails, checkpoint, remaining, trouble } of pages) {
    if (trouble !== undefined) {
      context.note(`folder ${JSON.stringify(folder)}: ${trouble}`, { code: 'ENDLESS', hint: trouble });
    }
    if (!time.mayBegin()) {
      if (mails.length > 0) {
        return (await leftAhead()) ?? { more: true, touched, ...waitingOf(mails, remaining) };
      }
      if (time.over()) {
        // Pages without mail, one after the other: the continuation goes on from what is saved.
        return { more: true, touched, backlog: 0 };
      }
    }
    const now = stateOf(checkpoint);
    if (mails.length === 0 && now === saved) {
      // An idle poll writes nothing.
      continue;
    }
    saved = now;
    touched = true;
    let row: CheckpointRow | undefined;
    const page = new PageImport(round, mails, {
      pendingKeys,
      checkpoint: () => {
        row = checkpoints.row(folder, checkpoint, mails);
        return [row];
      },
    });
    const added = line.add(page, () => {
      if (row) checkpoints.written(row);
    });
    // Its failure is met when the next one has been added, or by `drain`.
    added.catch(() => undefined);
    const left = await leftAhead();
    if (left) return left;
    ahead = { added, mails, remaining };
    // Rows that take a mail in are read once a page.
    if (reconciler.active) await line.drain();
  }
  return (await leftAhead()) ?? { more: false, touched, backlog: 0 };
}

function stateOf(checkpoint: Checkpoint | undefined): string | undefined {
  return JSON.stringify(checkpoint);
}

function waitingOf(mails: readonly ListedMail[], remaining = 0) {
  const oldest = mails.map((mail) => mail.receivedAt).reduce(earliest, undefined);
  return { backlog: mails.length + remaining, ...(oldest === undefined ? {} : { oldestWaitingAt: oldest }) };
}
