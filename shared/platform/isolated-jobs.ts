import { mapConcurrently } from './concurrency.ts';
import { errorText, log } from './log.ts';

/** Accounts worked on at one time: ten thousand one after another would take longer than a timer has. */
const accountsAtOnce = 8;

interface AccountJobOptions {
  readonly signal: AbortSignal;
  /** What is done, for the log. */
  readonly task: string;
}

/**
 * Runs `job` for each account, eight at a time. A failure is logged and does not keep the other accounts from their turn.
 * Throws at the end if any failed, so that the host counts the run as failed; throws at once what `signal` was aborted
 * with.
 */
export async function forEachAccount(
  accounts: readonly string[],
  job: (account: string) => Promise<unknown>,
  { signal, task }: AccountJobOptions,
): Promise<void> {
  let failed = 0;
  await mapConcurrently(accounts, accountsAtOnce, async (account) => {
    try {
      signal.throwIfAborted();
      await job(account);
    } catch (error) {
      signal.throwIfAborted();
      failed += 1;
      log.error('timer.accountFailed', { task, account, error: errorText(error) });
    }
  });
  if (failed > 0) throw new Error(`${task} failed for ${failed} of ${accounts.length} accounts`);
}

/**
 * Runs the jobs of a timer at the same time. A job that fails or hangs does not stop the others. Throws at the end if any
 * failed.
 */
export async function runIsolated(jobs: Readonly<Record<string, () => Promise<unknown>>>): Promise<void> {
  const outcomes = await Promise.allSettled(Object.values(jobs).map(async (job) => await job()));
  const failed = Object.keys(jobs).filter((name, index) => {
    const outcome = outcomes[index];
    if (outcome?.status !== 'rejected') return false;
    log.error('timer.jobFailed', { job: name, error: errorText(outcome.reason) });
    return true;
  });
  if (failed.length > 0) throw new Error(`Failed: ${failed.join(', ')}`);
}
