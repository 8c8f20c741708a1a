import { z } from 'zod';
import { toIso } from '../../platform/clock.ts';
import { instantOf, newestFirstId } from '../../platform/ids.ts';
import { type Columns, ignoreConflict, type Row, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { InboxContext } from '../context.ts';
import { endOf, prefixes, runKey } from '../keys.ts';
import { noCounts, type RunCounts, runCountsSchema } from '../run-counts.ts';

const runStatuses = ['running', 'done', 'failed'] as const;

const columnsSchema = runCountsSchema.extend({
  status: z.enum(runStatuses),
  startedAt: z.number(),
  /** False while the run only waits on the queue. */
  begun: z.boolean(),
  finishedAt: z.number().optional(),
  error: z.string().optional(),
  /** Mail left when the run ended, and the age of the oldest of it. */
  backlog: z.number().optional(),
  oldestWaitingAt: z.number().optional(),
});

/** A run with its id, which in rows is part of the key. */
export const runSchema = columnsSchema.extend({ id: z.string() });
export type Run = z.output<typeof runSchema>;

/** A run as callers see it (design section 3). */
export const runViewSchema = z
  .object({
    id: z.string(),
    status: z.enum(runStatuses),
    startedAt: instantSchema,
    finishedAt: instantSchema.nullable(),
    ...runCountsSchema.shape,
    error: z.string().optional(),
  })
  .meta({ id: 'Run', description: 'An import of an account.' });
export type RunView = View<typeof runViewSchema>;

/** A run as callers see it (design section 3). */
export function runView(run: Run): RunView {
  return {
    id: run.id,
    status: run.status,
    startedAt: toIso(run.startedAt),
    finishedAt: run.finishedAt === undefined ? null : toIso(run.finishedAt),
    imported: run.imported,
    skipped: run.skipped,
    pending: run.pending,
    quarantined: run.quarantined,
    disposed: run.disposed,
    ...(run.error ? { error: run.error } : {}),
  };
}

function runOf(row: Row): Run {
  return { ...columnsSchema.parse(row.columns), id: row.key.slice(2) };
}

/** Makes a run known before it starts, so that its id can be answered. */
export async function announceRun(inbox: InboxContext, account: string): Promise<Run> {
  const now = inbox.clock.now();
  const run: Run = { id: newestFirstId(now), status: 'running', startedAt: now, begun: false, ...noCounts() };
  await writeRun(inbox, account, run);
  return run;
}

/** What a run's row says. */
export function runColumns({ id: _, ...columns }: Run): Columns {
  return columns;
}

/** The row of a run, in place of what it says. */
export function runRow(run: Run): RowWrite {
  return { kind: 'put', key: runKey(run.id), columns: runColumns(run) };
}

/** Writes down how a run is, in place of what its row says. */
export async function writeRun(inbox: InboxContext, account: string, run: Run): Promise<void> {
  await inbox.rows.write(account, [runRow(run)]);
}

/** The write that tells how far a run is: it goes with a page's commit, and costs no transaction of its own. */
export function progressRow(runId: string, counts: RunCounts): RowWrite {
  return { kind: 'merge', key: runKey(runId), columns: { ...counts } };
}

/** A run of the account; undefined where there is none with this id. */
export async function getRun(
  inbox: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<Run | undefined> {
  if (!/^[0-9a-z]{16,40}$/.test(runId)) {
    return undefined;
  }
  const row = await inbox.rows.get(account, runKey(runId), options);
  return row && runOf(row);
}

interface ListRunsOptions {
  readonly signal: AbortSignal;
  readonly top: number;
  readonly after?: string;
}

function runRows(inbox: InboxContext, account: string, { signal, top, after }: ListRunsOptions) {
  const from = runKey(after === undefined ? '' : `${after}!`);
  return inbox.rows.range(account, from, endOf(prefixes.run), { top, signal });
}

/** Runs, newest first. */
export async function listRuns(
  inbox: InboxContext,
  account: string,
  options: ListRunsOptions,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  for await (const row of runRows(inbox, account, options)) {
    runs.push(runOf(row));
  }
  return runs;
}

/** Runs looked at when dead ones are marked; an account has few that have not ended. */
const recentRuns = 50;

/** An announced run waits on the queue for at most about this long. */
const announcedMs = 5 * 60_000;

/** How dead runs are looked for. */
export interface DeadRunOptions {
  readonly signal: AbortSignal;
  readonly graceMs?: number;
  /** A run that is known to be dead, and that may have no row: it had found nothing yet. */
  readonly died?: { readonly id: string; readonly startedAt: number } | undefined;
}

const endedAlone = 'The process ended during the run';

/**
 * Marks runs whose process ended without a word as failed, all but `alive`: the one that holds the account's lease, if
 * any. Runs that still wait on the queue are left alone, and begun ones for `graceMs`: they may be about to take it.
 * Answers the last run that knew what it left, if that was not long ago.
 */
export async function failDeadRuns(
  inbox: InboxContext,
  account: string,
  alive: string | undefined,
  options: DeadRunOptions,
): Promise<Run | undefined> {
  const now = inbox.clock.now();
  const { died } = options;
  if (died) {
    const run = { ...noCounts(), startedAt: died.startedAt, begun: true, status: 'failed' };
    const columns = { ...run, finishedAt: now, error: endedAlone };
    await inbox.rows.write(account, [{ kind: 'insert', key: runKey(died.id), columns }]).catch(ignoreConflict);
  }
  let last: Run | undefined;
  for await (const row of runRows(inbox, account, { signal: options.signal, top: recentRuns })) {
    const known = runOf(row);
    const { id, ...run } = known;
    if (run.backlog !== undefined && id !== alive) last ??= known;
    const waiting = run.begun ? now - run.startedAt < (options.graceMs ?? 0) : isWaiting(known, now);
    if (run.status === 'running' && id !== alive && !waiting) {
      const error = run.begun ? endedAlone : 'The run was never begun';
      const columns = { ...run, status: 'failed', finishedAt: now, error };
      await inbox.rows
        .write(account, [{ kind: 'replace', key: row.key, columns, etag: row.etag }])
        .catch((reason: unknown) => {
          if (!(reason instanceof RowConflict)) {
            throw reason;
          }
        });
    }
  }
  return last;
}

/** Whether another run waits on the queue. */
export async function anotherWaits(
  inbox: InboxContext,
  account: string,
  current: string,
  options: { readonly signal: AbortSignal },
): Promise<boolean> {
  const now = inbox.clock.now();
  const runs = await listRuns(inbox, account, { signal: options.signal, top: 20 });
  return runs.some((run) => run.status === 'running' && run.id !== current && isWaiting(run, now));
}

function isWaiting(run: Run, now: number): boolean {
  return !run.begun && now - instantOf(run.id) < announcedMs;
}
