import { z } from 'zod';
import type { Receipt } from '../adapters/transport.ts';
import type { Row } from '../platform/rows.ts';
import { settleEveryMs, settleForMs } from './outcome.ts';
import type { SentCopy } from './record.ts';
import { nextAttempt } from './retry.ts';

export const copyPrefix = 's:';
export const copyKey = (rest: string) => `${copyPrefix}${rest}`;

/** Columns of a copy that is still to be put into \Sent. Its row is written with the receipt, so that none is forgotten. */
const stateSchema = z.object({
  /** When the mail was sent, in ms: a copy is tried as long as a mail is. */
  since: z.number(),
  attempts: z.number(),
  dueAt: z.number(),
  /** The recovery timer looks after it from then on. */
  checkAt: z.number(),
  /** Who appends it now, and until when; there is no renewal, the work is cut before. */
  owner: z.string().optional(),
  heldUntil: z.number().optional(),
  /** The commit point of an APPEND is passed, and its answer not known. */
  committedAt: z.number().optional(),
  /** The transport's note (see SendOptions.remember). */
  note: z.string().optional(),
  /** How it ended; only the message's record has not been told yet. */
  ended: z.enum(['saved', 'failed', 'uncertain']).optional(),
});
export type CopyState = z.output<typeof stateSchema>;

export function copyStateOf(row: Row): CopyState {
  return stateSchema.parse(row.columns);
}

/** A copy whose queue message gets this long before the recovery timer takes over. */
const graceMs = 60_000;

/** A copy whose mail was sent a moment ago. */
export function newCopy(now: number): CopyState {
  return { since: now, attempts: 0, dueAt: now, checkAt: now + graceMs };
}

/** What a copy becomes by an attempt to append it, or, without a receipt, by a search that could not tell. */
export function afterCopy(state: CopyState, receipt: Receipt | undefined, now: number): CopyState {
  const { since, note, committedAt } = state;
  const attempts = state.attempts + 1;
  const outcome = receipt?.recipients[0]?.outcome ?? 'uncertain';
  const waiting = (dueAt: number) => ({ since, attempts, dueAt, checkAt: dueAt + graceMs });
  if (outcome === 'uncertain' && committedAt !== undefined) {
    const until = committedAt + settleForMs;
    const doubt = { committedAt, ...(note === undefined ? {} : { note }) };
    if (now < until) return { ...waiting(Math.min(now + settleEveryMs, until)), attempts: state.attempts, ...doubt };
    // Never a second copy: better none.
    return { ...waiting(now), ended: 'uncertain' };
  }
  if (outcome === 'accepted') return { ...waiting(now), ended: 'saved' };
  const next = outcome === 'rejected' ? undefined : nextAttempt(attempts, since, now, receipt?.trouble?.retryAfterMs);
  return next === undefined ? { ...waiting(now), ended: 'failed' } : waiting(next);
}

/** What is left to do is to tell the record, in a moment. */
export function endedCopy(state: CopyState, ended: Exclude<SentCopy, 'pending'>, now: number): CopyState {
  const dueAt = now + graceMs;
  return { since: state.since, attempts: state.attempts, dueAt, checkAt: dueAt, ended };
}
