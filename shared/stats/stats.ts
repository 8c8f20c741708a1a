import { z } from 'zod';
import type { Clock } from '../platform/clock.ts';
import { mapConcurrently } from '../platform/concurrency.ts';
import type { View } from '../platform/view.ts';
import type { DayCounts } from './day-counts.ts';
import { DayTotal, type DayTotals, dayOf, totalOf } from './day-total.ts';
import { percentile } from './delays.ts';

/** Days that can be asked for, and that totals are kept for. */
export const maxDays = 90;

const dayMs = 86_400_000;
/** Accounts of a table read at one time. */
const readConcurrency = 16;

/** The counts of all tables that are counted in. */
export interface StatsContext {
  readonly clock: Clock;
  readonly counts: readonly DayCounts[];
}

/** One day (UTC), as callers see it. */
export const dayViewSchema = z.object({
  day: z.iso.date(),
  imported: z.int(),
  bytes: z.int().meta({ description: 'Of what was imported.' }),
  quarantined: z.int(),
  accepted: z.int(),
  sent: z.int(),
  failed: z.int().meta({ description: 'For some recipients or all.' }),
  uncertain: z.int(),
  bounced: z.int(),
  backlog: z
    .int()
    .nullable()
    .meta({ description: 'Mail left to import when it was last counted on this day, once an hour; null: never.' }),
  medianSeconds: z
    .number()
    .nullable()
    .meta({ description: 'From acceptance to sent, of the mails sent on this day; null where there were none.' }),
  p95Seconds: z.number().nullable().meta({ description: 'The 95th percentile of the same.' }),
});
export type DayView = View<typeof dayViewSchema>;

interface Options {
  /** Today and the days before it, 1 to 90. */
  readonly days: number;
  readonly signal: AbortSignal;
}

/** The accounts whose counts are read, of one table or of each. */
type CountedAccounts = readonly string[] | ((counts: DayCounts) => readonly string[]);

/** The last days of some accounts together, newest first, each of them, also those without anything. */
export async function dayStats(
  { clock, counts }: StatsContext,
  accounts: CountedAccounts,
  { days, signal }: Options,
): Promise<readonly DayView[]> {
  const wanted = Array.from({ length: days }, (_, ago) => dayOf(clock.now() - ago * dayMs));
  const from = wanted.at(-1) ?? '';
  const sums: DayTotals = new Map();
  const reads = counts.flatMap((each) => {
    const names = typeof accounts === 'function' ? accounts(each) : accounts;
    return names.map((account) => ({ counts: each, account }));
  });
  await mapConcurrently(reads, readConcurrency, async ({ counts: table, account }) => {
    for (const [day, total] of await table.read(account, from, { signal }))
      totalOf(sums, day).add(total.counts, total.delays).leave(total.backlog);
  });
  return wanted.map((day) => dayView(day, sums.get(day) ?? new DayTotal()));
}

function dayView(day: string, { counts, delays, backlog }: DayTotal): DayView {
  return {
    day,
    ...counts,
    backlog: backlog ?? null,
    medianSeconds: percentile(delays, 0.5) ?? null,
    p95Seconds: percentile(delays, 0.95) ?? null,
  };
}

/** Adds up what came of an account, and removes days that are not answered any more. */
export async function tidyStats(
  { clock, counts }: StatsContext,
  account: string,
  { signal }: Pick<Options, 'signal'>,
): Promise<void> {
  for (const each of counts) {
    await each.addUp(account, { signal });
    await each.removeOld(account, dayOf(clock.now() - maxDays * dayMs), { signal });
  }
}
