import { sleep } from '../platform/clock.ts';
import { log } from '../platform/log.ts';

/** Accounts worked on at once: one whose server is slow must not keep the others waiting. */
const accountsAtOnce = 4;

/** How long accounts that somebody else works on are come back to: an import's budget, and some more. */
const patienceMs = 300_000;
const askEveryMs = 2_000;

export interface EachAccountOptions {
  readonly signal: AbortSignal;
  /** What is done, for the log. */
  readonly task: string;
}

/**
 * A timer's task for every account, which tells its failures itself. One that is `busy` is come back to; one that fails
 * does not keep the others from their turn. Throws only what `signal` was aborted with.
 */
export async function eachAccount(
  names: readonly string[],
  work: (name: string) => Promise<unknown>,
  { signal, task }: EachAccountOptions,
): Promise<void> {
  const until = performance.now() + patienceMs;
  let left = [...names];
  while (left.length > 0) {
    const busy: string[] = [];
    const worker = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        try {
          if ((await work(name)) === 'busy') {
            busy.push(name);
          }
        } catch {
          signal.throwIfAborted();
        }
      }
    };
    await Promise.all(Array.from({ length: accountsAtOnce }, worker));
    if (busy.length > 0 && performance.now() > until) {
      // Others worked on these all the time; the next turn comes back.
      log.warn('inbox.accountsBusy', { task, accounts: busy.length });
      return;
    }
    if (busy.length > 0) {
      await sleep(askEveryMs, signal);
    }
    left = busy;
  }
}
