import { z } from 'zod';

const windowMs = 60_000;

/** Clocks of two processes, and the ways of two mails to their server, may differ by this much. */
const marginMs = 2_000;

/** A token counts for this long after it was used, or could have been. */
const countsForMs = windowMs + marginMs;

/** Tokens that are not renewed for this long can no longer be used: their process is gone. In ms. */
export const tokenLeaseMs = 15_000;

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

/** The row's value. */
export type RateRow = z.output<typeof rateRowSchema>;

/** The value of a row that does not exist. */
export const noTokensTaken: RateRow = { held: {}, used: {} };

/** Mails that left, and when the last of them did. */
export interface Used {
  readonly n: number;
  readonly at: number;
}

/** Tokens that were not used yet may be released at any moment: ask again after this time, in ms. */
const mayReturnMs = 5_000;

/** The state of the process that writes the row. */
export interface OwnTokens {
  readonly owner: string;
  /** Tokens that it keeps; those it held before and does not name were not used. */
  readonly kept: number;
  readonly used: ReadonlyMap<string, Used>;
  /** Tokens that it wants in addition. */
  readonly wanted: number;
}

/** The row as a process wants to write it. */
export interface RateChange {
  readonly row: RateRow;
  readonly granted: number;
  /** Times that a clock which runs ahead had written were put right: the row must be written, or they would never pass. */
  readonly corrected: boolean;
  /** Where nothing was free: when something may be. */
  readonly nextAt: number;
}

/**
 * The row as the process makes it. No token is given while `perMinute` of them were used within the last minute or may
 * still be used, so that no minute, wherever it begins, has more.
 */
export function changeTokens(before: RateRow, own: OwnTokens, perMinute: number, now: number): RateChange {
  const { owner, kept, wanted } = own;
  let corrected = false;
  // A time that lies further ahead than any can counts as if it were written now.
  const believable = (time: number, forMs: number, instead: number) => {
    if (time <= now + 2 * forMs) return time;
    corrected = true;
    return instead;
  };
  const held: RateRow['held'] = {};
  for (const [other, { n, until }] of Object.entries(before.held)) {
    if (other !== owner && n > 0 && until + countsForMs > now) {
      held[other] = { n, until: believable(until, tokenLeaseMs, now + tokenLeaseMs) };
    }
  }
  const used: RateRow['used'] = {};
  for (const [id, { n, at }] of Object.entries(before.used)) {
    if (at + countsForMs > now) used[id] = { n, at: believable(at, countsForMs, now) };
  }
  for (const [id, { n, at }] of own.used) used[id] = { n, at };
  const counting = [...Object.values(held), ...Object.values(used)].reduce((sum, { n }) => sum + n, kept);
  const granted = Math.max(0, Math.min(wanted, perMinute - counting));
  if (kept + granted > 0) held[owner] = { n: kept + granted, until: now + tokenLeaseMs };
  const unusedTokens = Object.values(held).some(({ until }) => until > now);
  const nextAt = unusedTokens ? now + mayReturnMs : whenFree(used, held, perMinute);
  return { row: { held, used }, granted, corrected, nextAt };
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
