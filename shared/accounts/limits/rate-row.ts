import { z } from 'zod';

const windowMs = 60_000;

/** Clocks of two processes, and the ways of two mails to their server, may differ by this much. */
const marginMs = 2_000;

/** A token counts for this long after it was used, or could have been. */
export const countsForMs = windowMs + marginMs;

/** Tokens that are not renewed for this long can no longer be used: their process is gone. */
export const holdMs = 15_000;

const heldSchema = z.object({ n: z.int().min(0), until: z.number() });
const usedSchema = z.object({ n: z.int().min(0), at: z.number() });

/**
 * The mails of an account that left in the last minute, and those that may leave any moment: tokens that a process holds
 * (by its id), and tokens that were used (by process and number of its report, so that a report that is made twice
 * counts once).
 */
export const rateRowSchema = z.object({
  held: z.record(z.string(), heldSchema),
  used: z.record(z.string(), usedSchema),
});

export type RateRow = z.output<typeof rateRowSchema>;

export const noTokensTaken: RateRow = { held: {}, used: {} };

/** Mails that left, and when the last of them did. */
export interface Used {
  readonly n: number;
  readonly at: number;
}

/** Tokens that were not used yet may be given back at any moment: it is worth asking again after this. */
const mayReturnMs = 5_000;

/** What a process says of itself whenever it writes the row. */
export interface OwnTokens {
  readonly owner: string;
  /** Tokens that it keeps; those it held before and does not name were not used. */
  readonly kept: number;
  readonly used: ReadonlyMap<string, Used>;
  /** Tokens that it would like in addition. */
  readonly wanted: number;
}

export interface RateChange {
  readonly row: RateRow;
  readonly granted: number;
  /** Where nothing was free: when something may be. */
  readonly nextAt: number;
}

/**
 * The row as the process makes it. No token is given while `perMinute` of them were used within the last minute or may
 * still be used, so that no minute, wherever it begins, has more.
 */
export function changeTokens(before: RateRow, own: OwnTokens, perMinute: number, now: number): RateChange {
  const { owner, kept, wanted } = own;
  const held = Object.fromEntries(
    Object.entries(before.held).filter(
      ([other, { n, until }]) => other !== owner && n > 0 && until + countsForMs > now,
    ),
  );
  const used = Object.fromEntries(Object.entries(before.used).filter(([, { at }]) => at + countsForMs > now));
  for (const [id, { n, at }] of own.used) used[id] = { n, at };
  const counting = [...Object.values(held), ...Object.values(used)].reduce((sum, { n }) => sum + n, kept);
  const granted = Math.max(0, Math.min(wanted, perMinute - counting));
  if (kept + granted > 0) held[owner] = { n: kept + granted, until: now + holdMs };
  const unsettled = Object.values(held).some(({ n, until }) => n > 0 && until > now);
  const nextAt = unsettled ? now + mayReturnMs : whenFree(used, held, perMinute);
  return { row: { held, used }, granted, nextAt };
}

/** When so much of what counts no longer does that another mail may leave. */
function whenFree(used: RateRow['used'], held: RateRow['held'], perMinute: number): number {
  const ends = [
    ...Object.values(held).map(({ n, until }) => ({ n, at: until + countsForMs })),
    ...Object.values(used).map(({ n, at }) => ({ n, at: at + countsForMs })),
  ].sort((a, b) => a.at - b.at);
  let left = ends.reduce((sum, { n }) => sum + n, 0);
  for (const { n, at } of ends) {
    left -= n;
    if (left < perMinute) return at;
  }
  return 0;
}
