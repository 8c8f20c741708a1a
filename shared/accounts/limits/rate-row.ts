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
  /** Where nothing was free: when something will be at the latest. */
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
  const counting = [
    ...Object.values(held).map(({ n, until }) => ({ n, endsAt: until + countsForMs })),
    ...Object.values(used).map(({ n, at }) => ({ n, endsAt: at + countsForMs })),
  ].sort((a, b) => a.endsAt - b.endsAt);
  let free = perMinute - kept - counting.reduce((sum, { n }) => sum + n, 0);
  const granted = Math.max(0, Math.min(wanted, free));
  if (kept + granted > 0) held[owner] = { n: kept + granted, until: now + holdMs };
  // Its own tokens are used soon, and count from then.
  counting.push({ n: kept + granted, endsAt: now + countsForMs });
  free -= granted;
  let nextAt = now;
  for (const { n, endsAt } of counting) {
    if (free > 0) break;
    free += n;
    nextAt = endsAt;
  }
  return { row: { held, used }, granted, nextAt };
}
