import { newestFirst } from '../platform/ids.ts';
import { forEachAccount } from '../platform/isolated-jobs.ts';
import { ignoreConflict, type Row } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { endOf, prefixes, singleKeys } from './keys.ts';
import { failDeadRuns } from './ledger/runs.ts';
import { leaseMs, readTurn } from './session/turn-row.ts';

/** Rows removed of one account in one run of the timer at most; the next hour brings the rest. */
const batch = 5_000;

/** Removes runs older than `days`, and the rows of dropped disposals. The ledger is never touched: it keeps mail from being imported twice. */
export async function removeOldRuns(
  { rows, clock, accountNames }: InboxContext,
  days: number,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const before = clock.now() - days * 86_400_000;
  const remove = async (account: string) => {
    const old: Row[] = [];
    const range = { ...options, top: batch, select: ['status'] };
    for (const prefix of [prefixes.run, prefixes.dropped]) {
      for await (const row of rows.range(account, prefix + newestFirst(before), endOf(prefix), range)) {
        old.push(row);
      }
    }
    await rows.deleteEach(account, old);
  };
  await forEachAccount(await accountNames(options.signal), remove, { ...options, task: 'removeOldRuns' });
}

/**
 * Marks runs that died as failed, also where no later run would do it. Where the store of an account is told to be failing
 * and the last run took it to work, as two runs that overtake one another can make it seem, the next run finds out.
 */
export async function closeDeadRuns(inbox: InboxContext, options: { readonly signal: AbortSignal }): Promise<void> {
  const ongoing = await inbox.health.ongoing(options);
  const failing = new Set(ongoing.filter(({ side }) => side === 'store').map(({ account }) => account));
  const close = async (account: string) => {
    const { holder, died, works } = await readTurn(inbox, account, options);
    if (works && failing.has(account)) {
      const write = { kind: 'merge', key: singleKeys.turn, columns: { works: false } } as const;
      await inbox.rows.write(account, [write]).catch(ignoreConflict);
    }
    // A run may have taken the lease since.
    await failDeadRuns(inbox, account, holder?.runId, { ...options, graceMs: leaseMs, died });
  };
  await forEachAccount(await inbox.accountNames(options.signal), close, { ...options, task: 'closeDeadRuns' });
}
