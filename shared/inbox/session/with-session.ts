import type { AccountTrouble } from '../../accounts/health.ts';
import { StoreError, type StoreSession } from '../../adapters/store.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { sleep } from '../../platform/clock.ts';
import { log } from '../../platform/log.ts';
import type { InboxContext } from '../context.ts';
import { noCounts } from '../run-counts.ts';
import { Fence } from './fence.ts';
import type { ImportContext } from './import-context.ts';
import { acquireLease, type LeaseView } from './lease.ts';

/** What a session is for, and how long it may take. */
export interface SessionOptions {
  readonly runId: string;
  readonly purpose: 'import' | 'retention' | 'sweep' | 'dryRun' | 'start' | 'replay';
  /** Time until everything is cut. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  /** Only this folder of the account. */
  readonly folder?: string;
  /** How long to wait for somebody else to be done with the account; default: not at all. */
  readonly patienceMs?: number;
  /** Done once the lease is held, before the server is called. */
  readonly begin?: () => Promise<void>;
}

export type SessionResult<T> =
  | { readonly kind: 'done'; readonly result: T }
  | { readonly kind: 'leased'; readonly holder: LeaseView }
  /** Other processes use all connections that the account's limits allow. */
  | { readonly kind: 'noConnection'; readonly retryAfterMs: number }
  /** The account is disabled, gone, or has no store. */
  | { readonly kind: 'inactive' };

/** What a session has noted and gone on from. */
export interface Notes {
  readonly error: string | undefined;
  readonly trouble: AccountTrouble | undefined;
}

/** How often a lease that is waited for is asked for. */
const askEveryMs = 1_000;

/** What is left of a run's time for leaving in good order, when the rest is over. */
const closeGraceMs = 5_000;

/** What goes on this long after the end of the process was announced is cut. In ms. */
const stopGraceMs = 2_500;

/**
 * Runs `task` as the one worker of the account: with its lease, held and renewed, and a signed-in session that is left
 * in good order. Throws what the task throws.
 */
export async function withSession<T>(
  inbox: InboxContext,
  account: string,
  options: SessionOptions,
  task: (context: ImportContext, notes: () => Notes) => Promise<T>,
): Promise<SessionResult<T>> {
  const { runId, purpose, folder } = options;
  const view = { runId, purpose, ...(folder === undefined ? {} : { folder }) };
  const waitUntil = performance.now() + (options.patienceMs ?? 0);
  let lease = await acquireLease(inbox, account, view);
  while (!isAcquired(lease) && performance.now() < waitUntil) {
    await sleep(askEveryMs, options.signal);
    lease = await acquireLease(inbox, account, view);
  }
  if (!isAcquired(lease)) {
    return { kind: 'leased', holder: lease };
  }
  const time = AbortSignal.timeout(options.budgetMs);
  const startedAt = performance.now();
  const stop = inbox.shutdown.cutAfter(stopGraceMs);
  const signal = AbortSignal.any([options.signal, lease.lost, time, stop.signal]);
  try {
    const stored = await inbox.account(account, signal);
    const store = stored?.account.enabled ? await inbox.store(stored.account) : undefined;
    if (!stored || !store) {
      return { kind: 'inactive' };
    }
    await options.begin?.();
    let session: StoreSession;
    try {
      session = await store.open({ signal });
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'noConnection') {
        return { kind: 'noConnection', retryAfterMs: error.retryAfterMs ?? 0 };
      }
      throw error;
    }
    const errors = new Set<string>();
    let trouble: AccountTrouble | undefined;
    let pages = 0;
    try {
      const context: ImportContext = {
        inbox,
        account: account,
        runId,
        stored,
        store,
        session,
        folders: (stored.account.store?.folders ?? []).filter((each) => (folder ?? each) === each),
        fence: new Fence(inbox.rows, account, runId),
        signal,
        startedAt,
        counts: noCounts(),
        nextPage: () => {
          pages += 1;
          return pages;
        },
        note: (error, account) => {
          errors.add(error);
          trouble ??= account;
        },
      };
      const notes = () => ({ error: errors.size === 0 ? undefined : [...errors].join('; '), trouble });
      return { kind: 'done', result: await task(context, notes) };
    } finally {
      await Promise.race([session.close(), unrefTimeout(closeGraceMs)]);
    }
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'throttled') {
      log.warn('provider.throttled', { code: error.code, retryAfterMs: error.retryAfterMs });
    }
    throw error;
  } finally {
    stop.forget();
    await lease.release();
  }
}

function unrefTimeout(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
