import { sleep } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';

/** Accounts worked on at once: one whose server is slow must not keep the others waiting. */
const accountsAtOnce = 4;

/** How long accounts that somebody else works on are come back to: an import's budget, and some more. */
const patienceMs = 300_000;
const askEveryMs = 2_000;

export interface EachAccountOptions {
  readonly signal: AbortSignal;
  /** Name of the log line for an account whose task failed. */
  readonly failed: string;
}

/**
 * A timer's task for every account. One that is `busy` is come back to; one that fails does not keep the others from
 * their turn. Throws only what `signal` was aborted with.
 */
export async function eachAccount(
  names: readonly string[],
  task: (name: string) => Promise<unknown>,
  { signal, failed }: EachAccountOptions,
): Promise<void> {
  const until = performance.now() + patienceMs;
  let left = [...names];
  while (left.length > 0) {
    const busy: string[] = [];
    const worker = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        try {
          if ((await task(name)) === 'busy') {
            busy.push(name);
          }
        } catch (error) {
          signal.throwIfAborted();
          log.error(failed, { account: name, error: errorText(error) });
        }
      }
    };
    await Promise.all(Array.from({ length: accountsAtOnce }, worker));
    if (busy.length > 0 && performance.now() > until) {
      log.warn(failed, {
        accounts: busy.length,
        error: 'Others worked on these all the time; the next turn comes back',
      });
      return;
    }
    if (busy.length > 0) {
      await sleep(askEveryMs, signal);
    }
    left = busy;
  }
}
