import { z } from 'zod';
import type { Receipt } from '../../adapters/transport.ts';
import type { Columns, Row } from '../../platform/rows.ts';
import { resolveEveryMs, resolveForMs } from '../delivering/outcome.ts';
import { nextAttempt, type RetryWaits, usualWaits } from '../delivering/retry.ts';
import type { SentCopy } from '../record.ts';

/** Columns of a copy that is still to be put into \Sent. Its row is written with the receipt, so that none is forgotten. */
const stateSchema = z.object({
  /** When the mail was sent, in ms: a copy is tried as long as a mail is. */
  since: z.number(),
  attempts: z.number(),
  dueAt: z.number(),
  /** The recovery timer looks after it from then on. */
  checkAt: z.number(),
  /** The commit point of an APPEND is passed, and its answer not known. */
  committedAt: z.number().optional(),
  /** The transport's note (see SendOptions.remember). */
  note: z.string().optional(),
  /** How it ended; only the message's record does not say so yet. */
  ended: z.enum(['saved', 'failed', 'uncertain']).optional(),
});
export type CopyState = z.output<typeof stateSchema>;

/** How a copy stands, by its row. Throws where the columns make no sense. */
export function copyStateOf(row: Row): CopyState {
  return stateSchema.parse(row.columns);
}

/** Columns of a copy's row as it is written now; how long the wait is stands beside its end (see `dueTime`). */
export function copyColumns(state: CopyState, now: number): Columns {
  return { ...state, waitMs: Math.max(0, state.checkAt - now) };
}

/** A copy whose queue message gets this long before the recovery timer takes over. */
const graceMs = 60_000;

/** A copy whose mail was sent a moment ago. */
export function newCopy(now: number): CopyState {
  return { since: now, attempts: 0, dueAt: now, checkAt: now + graceMs };
}

/** A copy that was not tried, to come again at `at` (ms since the epoch); nothing else about it changes. */
export function requeuedCopy(state: CopyState, at: number): CopyState {
  return { ...state, dueAt: at, checkAt: at + graceMs };
}

/** Columns of a copy that is requeued unread, to come again at `at`: the recovery timer takes over a while later. */
export function checkColumns(at: number, now: number): Columns {
  const checkAt = at + graceMs;
  return { checkAt, waitMs: checkAt - now };
}

/**
 * What a copy becomes by an attempt to append it, or, without a receipt, by a search that found nothing out. `waits` decide
 * when it is tried again.
 */
export function afterCopy(
  state: CopyState,
  receipt: Receipt | undefined,
  now: number,
  waits: RetryWaits = usualWaits,
): CopyState {
  const { since, note, committedAt } = state;
  const attempts = state.attempts + 1;
  const outcome = receipt?.recipients[0]?.outcome ?? 'uncertain';
  const waiting = (dueAt: number) => ({ since, attempts, dueAt, checkAt: dueAt + graceMs });
  if (outcome === 'uncertain' && committedAt !== undefined) {
    const until = committedAt + resolveForMs;
    const doubt = { committedAt, ...(note === undefined ? {} : { note }) };
    if (now < until) return { ...waiting(Math.min(now + resolveEveryMs, until)), attempts: state.attempts, ...doubt };
    // Never a second copy: better none.
    return { ...waiting(now), ended: 'uncertain' };
  }
  if (outcome === 'accepted') return { ...waiting(now), ended: 'saved' };
  const tried = { attempts, firstAttemptAt: since, retryAfterMs: receipt?.trouble?.retryAfterMs };
  const next = outcome === 'rejected' ? undefined : nextAttempt(tried, now, waits);
  return next === undefined ? { ...waiting(now), ended: 'failed' } : waiting(next);
}

/** A copy that has ended, which the message's record is still to say. */
export function endedCopy(state: CopyState, ended: Exclude<SentCopy, 'pending'>, now: number): CopyState {
  const dueAt = now + graceMs;
  return { since: state.since, attempts: state.attempts, dueAt, checkAt: dueAt, ended };
}
