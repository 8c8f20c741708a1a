import { newestFirst } from '../platform/ids.ts';
import type { InboxContext } from './context.ts';
import { leaseHolder, leaseMs } from './lease.ts';
import { failDeadRuns } from './runs.ts';

/** Runs removed of one account in one run of the timer at most; the next hour brings the rest. */
const batch = 5_000;

/** Removes runs older than `days`. The ledger is never touched: it is what keeps mail from being imported twice. */
export async function removeOldRuns(
  { rows, clock, accountNames }: InboxContext,
  days: number,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const before = clock.now() - days * 86_400_000;
  for (const account of await accountNames(options.signal)) {
    const old: string[] = [];
    const range = { ...options, top: batch, select: ['status'] };
    for await (const row of rows.range(account, `r:${newestFirst(before)}`, 'r;', range)) {
      old.push(row.key);
    }
    await rows.deleteAll(account, old);
  }
}

/** Tells runs that died as failed, also where no later run comes to do it. */
export async function closeDeadRuns(context: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  for (const account of await context.accountNames(options.signal)) {
    const holder = await leaseHolder(context, account, options);
    // A run may have taken the lease since.
    await failDeadRuns(context, account, holder?.runId, { ...options, graceMs: leaseMs });
  }
}
