import { isAcquired } from '../platform/acquired.ts';
import { splitAccountId } from '../platform/ids.ts';
import type { OutboxContext } from './context.ts';

/** What a worker is to do for one message of an account. */
export interface WorkerTask<T> {
  readonly run: () => Promise<T>;
  /** Requeues the message unread, to come again about `paceMs` after the one before it. */
  readonly requeue: (parts: { readonly account: string; readonly localId: string }, paceMs: number) => Promise<T>;
}

/** Runs a task by one of the workers that all accounts share; a message whose account has its share of them is requeued. */
export async function withWorker<T>(context: OutboxContext, id: string, { run, requeue }: WorkerTask<T>): Promise<T> {
  const parts = splitAccountId(id);
  if (!parts || context.shutdown.stopping.aborted) {
    return await run();
  }
  const worker = await context.workers.acquire(parts.account);
  if (!isAcquired(worker)) {
    return await requeue(parts, worker.retryAfterMs);
  }
  try {
    return await run();
  } finally {
    worker.release();
  }
}
