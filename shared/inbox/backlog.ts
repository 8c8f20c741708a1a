import { log } from '../platform/log.ts';
import type { InboxContext } from './context.ts';
import { readPending } from './pending.ts';
import type { Run } from './runs.ts';

/** What a run knows of mail that waits, where there may be or have been any. */
export interface BacklogHint {
  /** Mail that the run before had left. */
  readonly before: number;
  /** The run met pending mails, or made some; undefined where it did not come to look. */
  readonly pending: boolean | undefined;
}

/**
 * The line that tells, once at a run's end, how many mails of the account wait and how old the oldest is: left for the
 * next run, or pending after a failure. Written while there are any, and once more when there are none any more.
 * A failed run knows no better than the one before it. Throws when storage is away.
 */
export async function tellBacklog(
  context: InboxContext,
  account: string,
  run: Run,
  hint: BacklogHint,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const pending = hint.pending === false ? [] : await readPending(context, account, options);
  const mails = (run.backlog ?? 0) + pending.length;
  if (mails === 0 && hint.before === 0 && !hint.pending) {
    return;
  }
  const waiting = [run.oldestWaitingAt, ...pending.map(({ mail }) => mail.receivedAt)].filter((at) => at !== undefined);
  const oldest = waiting.length === 0 ? undefined : Math.min(...waiting);
  log.info('inbox.backlog', {
    mails,
    oldestAgeSeconds: oldest === undefined ? 0 : Math.max(0, Math.round((context.clock.now() - oldest) / 1000)),
  });
}
