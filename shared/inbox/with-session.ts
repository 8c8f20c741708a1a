import type { StoredAccount } from '../accounts/account-store.ts';
import { StoreError, type StoreSession } from '../adapters/store.ts';
import { sleep } from '../platform/clock.ts';
import { log } from '../platform/log.ts';
import type { InboxContext } from './context.ts';
import { Lease, type LeaseView } from './lease.ts';
import { noCounts } from './runs.ts';
import type { Work } from './work.ts';

export interface SessionOptions {
  readonly runId: string;
  readonly purpose: 'import' | 'retention' | 'sweep' | 'dryRun';
  /** Time until everything is cut. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  /** Only this folder of the account. */
  readonly folder?: string;
  /** How long to wait for somebody else to be done with the account; default: not at all. */
  readonly patienceMs?: number;
}

export type SessionResult<T> =
  | { readonly kind: 'done'; readonly result: T }
  | { readonly kind: 'busy'; readonly holder: LeaseView }
  /** Other processes use all connections that the account's limits allow. */
  | { readonly kind: 'full'; readonly retryAfterMs: number }
  /** The account is disabled, gone, or has no store. */
  | { readonly kind: 'off' };

/** How often a lease that is waited for is asked for. */
const askEveryMs = 1_000;

/** What is left of a run's time for leaving in good order, when the rest is over. */
const partingMs = 5_000;

/**
 * Runs `task` as the one worker of the account: with its lease, held and renewed, and a signed-in session that is left
 * in good order. Throws what the task throws.
 */
export async function withSession<T>(
  context: InboxContext,
  account: string,
  options: SessionOptions,
  begin: (stored: StoredAccount) => Promise<void>,
  task: (work: Work, note: () => string | undefined) => Promise<T>,
): Promise<SessionResult<T>> {
  const { runId, purpose, folder } = options;
  const view = { runId, purpose, ...(folder === undefined ? {} : { folder }) };
  const patient = performance.now() + (options.patienceMs ?? 0);
  let lease = await Lease.take(context, account, view);
  while (!(lease instanceof Lease) && performance.now() < patient) {
    await sleep(askEveryMs, options.signal);
    lease = await Lease.take(context, account, view);
  }
  if (!(lease instanceof Lease)) {
    return { kind: 'busy', holder: lease };
  }
  const time = AbortSignal.timeout(options.budgetMs);
  const signal = AbortSignal.any([options.signal, lease.lost, time]);
  try {
    const stored = await context.account(account, signal);
    const store = stored?.account.enabled ? await context.store(stored.account) : undefined;
    if (!stored || !store) {
      return { kind: 'off' };
    }
    await begin(stored);
    let session: StoreSession;
    try {
      session = await store.open({ signal });
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'busy') {
        return { kind: 'full', retryAfterMs: error.retryAfterMs ?? 0 };
      }
      throw error;
    }
    let noted: string | undefined;
    let pages = 0;
    try {
      const work: Work = {
        context,
        name: account,
        runId,
        stored,
        store,
        session,
        folders: (stored.account.store?.folders ?? []).filter((each) => (folder ?? each) === each),
        signal,
        counts: noCounts(),
        nextPage: () => {
          pages += 1;
          return pages;
        },
        note: (error) => {
          noted ??= error;
        },
      };
      return { kind: 'done', result: await task(work, () => noted) };
    } finally {
      await Promise.race([session.close(), unrefTimeout(partingMs)]);
    }
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'throttled') {
      log.warn('provider.throttled', { code: error.code, retryAfterMs: error.retryAfterMs });
    }
    throw error;
  } finally {
    await lease.release();
  }
}

function unrefTimeout(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
