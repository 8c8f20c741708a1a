import { sleep } from '../../platform/clock.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { log } from '../../platform/log.ts';

/** Accounts worked on at one time: one whose server is slow must not keep the others waiting. */
const concurrentAccounts = 4;

/** How long accounts that somebody else works on are come back to: an import's budget, and some more. */
const patienceMs = 300_000;
const askEveryMs = 2_000;

/** How accounts are gone through. */
export interface EachAccountOptions {
  readonly signal: AbortSignal;
  /** What is done, for the log. */
  readonly label: string;
}

/**
 * A timer's task for every account, from any of them on, which reports its failures itself. One that is `leased` is come back to; one that fails
 * does not keep the others from their turn. Throws only what `signal` was aborted with.
 */
export async function eachAccount(
  names: readonly string[],
  task: (name: string) => Promise<unknown>,
  { signal, label }: EachAccountOptions,
): Promise<void> {
  const until = performance.now() + patienceMs;
  // Where the time is too short for all of them, it is not always the last ones that go without.
  const first = Math.floor(Math.random() * names.length);
  let left = [...names.slice(first), ...names.slice(0, first)];
  while (left.length > 0) {
    const leased: string[] = [];
    await mapConcurrently(left, concurrentAccounts, async (name) => {
      try {
        if ((await task(name)) === 'leased') {
          leased.push(name);
        }
      } catch {
        signal.throwIfAborted();
      }
    });
    if (leased.length > 0 && performance.now() > until) {
      // Others worked on these all the time; the next turn comes back.
      log.warn('inbox.accountsBusy', { task: label, accounts: leased.length });
      return;
    }
    if (leased.length > 0) {
      await sleep(askEveryMs, signal);
    }
    left = leased;
  }
}
