import { errorText, log } from '../platform/log.ts';
import type { Rows } from '../platform/rows.ts';
import { nextOccurrence } from '../platform/schedule.ts';
import type { InboxContext } from './context.ts';

const partition = 'schedule';

/**
 * Queues an import for every account whose schedule came due since it was last queued. What was missed while nothing
 * ran is made up by one import. `accounts` is the table in which the last times are kept. Answers how many were queued.
 */
export async function scheduleImports(
  inbox: InboxContext,
  accounts: Rows,
  options: { readonly signal: AbortSignal },
): Promise<number> {
  const now = inbox.clock.now();
  const lastAt = new Map<string, number>();
  for await (const row of accounts.prefix(partition, '', { signal: options.signal })) {
    lastAt.set(row.key, typeof row.columns.at === 'number' ? row.columns.at : 0);
  }
  let queued = 0;
  for (const { account } of await inbox.accounts(options.signal)) {
    const { schedule } = account.import;
    if (!account.enabled || !account.store || schedule === null) {
      continue;
    }
    const last = lastAt.get(account.name);
    const due = last === undefined ? now : nextOccurrence(schedule, last);
    if (due === undefined || due > now) {
      continue;
    }
    try {
      await inbox.enqueue(account.name, {});
      await accounts.write(partition, [{ kind: 'put', key: account.name, columns: { at: now } }]);
      queued += 1;
    } catch (error) {
      options.signal.throwIfAborted();
      log.error('inbox.scheduleFailed', { account: account.name, error: errorText(error) });
    }
  }
  return queued;
}
