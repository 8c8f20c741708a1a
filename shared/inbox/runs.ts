import { z } from 'zod';
import { toIso } from '../platform/clock.ts';
import { instantOf, newestFirstId } from '../platform/ids.ts';
import type { Row } from '../platform/rows.ts';
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

/** Runs, newest first. */
export async function listRuns(
  context: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal; readonly top: number; readonly after?: string },
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  const from = runKey(options.after === undefined ? '' : `${options.after}!`);
  for await (const row of context.rows.range(account, from, 'r;', { top: options.top, signal: options.signal })) {
    runs.push(runOf(row));
  }
  return runs;
}

/**
 * Marks runs whose process ended without a word as failed. Only called by the holder of the account's lease, so no
 * other run can be alive; announced runs that still wait on the queue are left alone. Answers the last run that knew
 * what it left, if that was not long ago.
 */
export async function failDeadRuns(
  context: InboxContext,
  account: string,
  current: string,
  options: { readonly signal: AbortSignal },
): Promise<Run | undefined> {
  const now = context.clock.now();
  const runs = await listRuns(context, account, { signal: options.signal, top: 20 });
  for (const run of runs) {
    if (run.status === 'running' && run.id !== current && !isWaiting(run, now)) {
      await writeRun(context, account, {
        ...run,
        status: 'failed',
        finishedAt: now,
        error: 'The process ended during the run',
      });
    }
  }
  return runs.find((run) => run.backlog !== undefined && run.id !== current);
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

/** An announced run waits on the queue for at most about this long. */
const announcedMs = 5 * 60_000;
