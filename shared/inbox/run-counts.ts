import { z } from 'zod';

/** What a run has done: numbers of mails. */
export const runCountsSchema = z.object({
  imported: z.int(),
  skipped: z.int(),
  pending: z.int(),
  quarantined: z.int(),
  disposed: z.int(),
});
export type RunCounts = z.output<typeof runCountsSchema>;

/** The counts of a run that has done nothing yet. */
export function noCounts(): RunCounts {
  return { imported: 0, skipped: 0, pending: 0, quarantined: 0, disposed: 0 };
}

/** What two runs have done together. */
export function sumOfCounts(one: RunCounts, other: RunCounts): RunCounts {
  return {
    imported: one.imported + other.imported,
    skipped: one.skipped + other.skipped,
    pending: one.pending + other.pending,
    quarantined: one.quarantined + other.quarantined,
    disposed: one.disposed + other.disposed,
  };
}
