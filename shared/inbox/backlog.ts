import { log } from '../platform/log.ts';
import type { InboxContext } from './context.ts';
import { readPending } from './ledger/pending.ts';
import type { Run } from './ledger/runs.ts';

/** What is known of the run that has ended. */
export interface BacklogOptions {
  readonly signal: AbortSignal;
  /** Mail that the run before had left. */
  readonly before: number;
  /** The run met pending mails, or made some; undefined where it ended before it looked. */
  readonly pending: boolean | undefined;
}

/**
 * Logs, once at a run's end, how many mails of the account wait and how old the oldest is: left for the next run, or
 * pending after a failure. Written while there are any, and once more when there are none any more.
 * A failed run knows no better than the one before it. Throws when storage is away.
 */
export async function logBacklog(
  inbox: InboxContext,
  account: string,
  run: Run,
  options: BacklogOptions,
): Promise<void> {
  const pending = options.pending === false ? [] : await readPending(inbox, account, options);
  const mails = (run.backlog ?? 0) + pending.length;
  if (mails === 0 && options.before === 0 && !options.pending) {
    return;
  }
  const waiting = [run.oldestWaitingAt, ...pending.map(({ mail }) => mail.receivedAt)].filter((at) => at !== undefined);
  const oldest = waiting.length === 0 ? undefined : Math.min(...waiting);
  log.info('inbox.backlog', {
    mails,
    oldestAgeSeconds: oldest === undefined ? 0 : Math.max(0, Math.round((inbox.clock.now() - oldest) / 1000)),
  });
}
