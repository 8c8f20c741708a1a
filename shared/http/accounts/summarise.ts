import { forEachAccount } from '../../platform/isolated-jobs.ts';
import type { Services } from '../services.ts';
import { readAccount, summaryOf } from './account-facts.ts';

/** Accounts of one run of the timer at most; the others follow in the next minute. */
const maxAccounts = 1_000;

/** Longest time of one run, in ms: the timer has other work. */
const withinMs = 40_000;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Writes the summaries of accounts that were changed, once no process relies on having noted that: two to three minutes
 * later. One reading where there is none; else some six of each account. Throws where an account cannot be read.
 */
export async function summariseChanged(services: Services, { signal }: Options): Promise<void> {
  const { summaries } = services;
  const until = performance.now() + withinMs;
  const changed = await summaries.changed({ signal });
  // Those that wait longest come first: of more than fit a run, none waits for ever.
  const settled = [...changed]
    .filter(([, note]) => summaries.isSettled(note))
    .sort(([, one], [, other]) => (one.writtenAt ?? 0) - (other.writtenAt ?? 0))
    .slice(0, maxAccounts);
  const notes = new Map(settled);
  const summarise = async (name: string) => {
    const note = notes.get(name);
    if (!note || performance.now() > until) return;
    const summary = summaryOf(await readAccount(services, name, { signal }));
    if (summary) await summaries.keep(name, note, summary);
    // It has none for now: noted anew, it is not read again in the next minute.
    else await summaries.note([name]);
  };
  await forEachAccount([...notes.keys()], summarise, { signal, task: 'summaries' });
}

/**
 * Has all summaries written anew, by the timer: whatever a process that was ended, an earlier version or a restore has left
 * wrong in them is right again. One transaction for a hundred accounts. Throws storage's trouble.
 */
export async function doubtSummaries({ accounts, summaries }: Services, { signal }: Options): Promise<void> {
  await summaries.note(await accounts.everyName({ signal }));
}
