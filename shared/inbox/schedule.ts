import type { StoredAccount } from '../accounts/account-row.ts';
import { mapConcurrently } from '../platform/concurrency.ts';
import { errorText, log } from '../platform/log.ts';
import { nextOccurrence } from '../platform/schedule.ts';
import type { InboxContext } from './context.ts';

/** Accounts whose time is noted in one transaction, which holds 100 rows at most. */
const groupSize = 100;

/** Groups worked on at one time, and the messages that each puts on the queue at one time. */
const groupsAtOnce = 2;
const messagesAtOnce = 16;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Queues an import for every account whose schedule came due since it was last queued. What was missed while nothing
 * ran is made up by one import. Costs a reading of the accounts, and a transaction for each 100 that are due, beside the
 * messages; a process that ends in between has some accounts queued twice. Answers how many were queued. Throws where the
 * accounts cannot be read, and what `signal` was aborted with.
 */
export async function scheduleImports(inbox: InboxContext, options: Options): Promise<number> {
  const now = inbox.clock.now();
  const due = dueAccounts(await inbox.accounts(options.signal), now);
  const groups: string[][] = [];
  for (let from = 0; from < due.length; from += groupSize) groups.push(due.slice(from, from + groupSize));
  const queued = await mapConcurrently(groups, groupsAtOnce, (group) => queueGroup(inbox, group, { ...options, now }));
  return queued.reduce((sum, count) => sum + count, 0);
}

/** Names of the accounts that are due. */
function dueAccounts(accounts: readonly StoredAccount[], now: number): readonly string[] {
  // Most accounts have the same schedule and were last queued at the same moment.
  const known = new Map<string, number | undefined>();
  const next = (schedule: string, after: number) => {
    const key = `${after} ${schedule}`;
    if (!known.has(key)) known.set(key, nextOccurrence(schedule, after));
    return known.get(key);
  };
  return accounts.flatMap(({ account, queuedAt }) => {
    const { schedule } = account.import;
    if (!account.enabled || !account.store || schedule === null) return [];
    const dueAt = queuedAt === undefined ? now : next(schedule, queuedAt);
    return dueAt === undefined || dueAt > now ? [] : [account.name];
  });
}

/** Queues the imports of some accounts, and then notes them together. An account whose message fails is due again. */
async function queueGroup(
  inbox: InboxContext,
  names: readonly string[],
  { signal, now }: Options & { readonly now: number },
): Promise<number> {
  const outcomes = await mapConcurrently(names, messagesAtOnce, async (name) => {
    try {
      signal.throwIfAborted();
      await inbox.enqueue(name, {});
      return [name];
    } catch (error) {
      signal.throwIfAborted();
      log.error('inbox.scheduleFailed', { account: name, error: errorText(error) });
      return [];
    }
  });
  const queued = outcomes.flat();
  try {
    await inbox.noteQueued(queued, now);
  } catch (error) {
    signal.throwIfAborted();
    // They are queued again in a minute: an import more than is needed, which finds nothing.
    log.error('inbox.scheduleNotNoted', { accounts: queued.length, error: errorText(error) });
  }
  return queued.length;
}
