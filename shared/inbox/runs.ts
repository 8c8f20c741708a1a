import { z } from 'zod';
import { toIso } from '../platform/clock.ts';
import { instantOf, newestFirstId } from '../platform/ids.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { runKey } from './keys.ts';

const countsSchema = z.object({
  imported: z.number(),
  skipped: z.number(),
  pending: z.number(),
  quarantined: z.number(),
  disposed: z.number(),
});
export type RunCounts = z.output<typeof countsSchema>;

const columnsSchema = countsSchema.extend({
  status: z.enum(['running', 'done', 'failed']),
  startedAt: z.number(),
  /** False while the run only waits on the queue. */
  begun: z.boolean(),
  finishedAt: z.number().optional(),
  error: z.string().optional(),
  /** Mail left when the run ended, and the age of the oldest of it. */
  backlog: z.number().optional(),
  oldestWaitingAt: z.number().optional(),
});

export type Run = z.output<typeof columnsSchema> & { readonly id: string };

/** A run as callers see it (design section 3). */
export interface RunView extends RunCounts {
  readonly id: string;
  readonly status: 'running' | 'done' | 'failed';
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly error?: string;
}

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

export function noCounts(): RunCounts {
  return { imported: 0, skipped: 0, pending: 0, quarantined: 0, disposed: 0 };
}

function runOf(row: Row): Run {
  return { ...columnsSchema.parse(row.columns), id: row.key.slice(2) };
}

/** Makes a run known before it starts, so that its id can be answered. */
export async function announceRun(context: InboxContext, account: string): Promise<Run> {
  const now = context.clock.now();
  const run: Run = { id: newestFirstId(now), status: 'running', startedAt: now, begun: false, ...noCounts() };
  await writeRun(context, account, run);
  return run;
}

export async function writeRun(context: InboxContext, account: string, run: Run): Promise<void> {
  const { id, ...columns } = run;
  await context.rows.write(account, [{ kind: 'put', key: runKey(id), columns }]);
}

export async function getRun(
  context: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<Run | undefined> {
  if (!/^[0-9a-z]{16,40}$/.test(runId)) {
    return undefined;
  }
  const row = await context.rows.get(account, runKey(runId), options);
  return row && runOf(row);
}

interface ListRunsOptions {
  readonly signal: AbortSignal;
  readonly top: number;
  readonly after?: string;
}

function runRows(context: InboxContext, account: string, { signal, top, after }: ListRunsOptions) {
  const from = runKey(after === undefined ? '' : `${after}!`);
  return context.rows.range(account, from, 'r;', { top, signal });
}

/** Runs, newest first. */
export async function listRuns(
  context: InboxContext,
  account: string,
  options: ListRunsOptions,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  for await (const row of runRows(context, account, options)) {
    runs.push(runOf(row));
  }
  return runs;
}

/** Runs looked at when dead ones are told as such; an account has few that have not ended. */
const recentRuns = 50;

/** An announced run waits on the queue for at most about this long. */
const announcedMs = 5 * 60_000;

/**
 * Marks runs whose process ended without a word as failed, all but `alive`: the one that holds the account's lease, if
 * any. Runs that still wait on the queue are left alone, and begun ones for `graceMs`: they may be about to take it.
 * Answers the last run that knew what it left, if that was not long ago.
 */
export async function failDeadRuns(
  context: InboxContext,
  account: string,
  alive: string | undefined,
  options: { readonly signal: AbortSignal; readonly graceMs?: number },
): Promise<Run | undefined> {
  const now = context.clock.now();
  let last: Run | undefined;
  for await (const row of runRows(context, account, { signal: options.signal, top: recentRuns })) {
    const known = runOf(row);
    const { id, ...run } = known;
    if (run.backlog !== undefined && id !== alive) last ??= known;
    const waiting = run.begun ? now - run.startedAt < (options.graceMs ?? 0) : isWaiting(known, now);
    if (run.status === 'running' && id !== alive && !waiting) {
      const error = run.begun ? 'The process ended during the run' : 'The run was never begun';
      const columns = { ...run, status: 'failed', finishedAt: now, error };
      await context.rows
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
  context: InboxContext,
  account: string,
  current: string,
  options: { readonly signal: AbortSignal },
): Promise<boolean> {
  const now = context.clock.now();
  const runs = await listRuns(context, account, { signal: options.signal, top: 20 });
  return runs.some((run) => run.status === 'running' && run.id !== current && isWaiting(run, now));
}

function isWaiting(run: Run, now: number): boolean {
  return !run.begun && now - instantOf(run.id) < announcedMs;
}
