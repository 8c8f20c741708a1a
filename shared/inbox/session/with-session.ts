import type { StoredAccount } from '../../accounts/account-store.ts';
import type { AccountTrouble } from '../../accounts/health.ts';
import { type MailStore, StoreError, type StoreSession } from '../../adapters/store.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { sleep } from '../../platform/clock.ts';
import { log } from '../../platform/log.ts';
import type { RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { type OpenRows, readTurnAndOpen } from '../ledger/open-rows.ts';
import { noCounts } from '../run-counts.ts';
import type { ImportContext } from './import-context.ts';
import { type AccountLease, acquireLease } from './lease.ts';
import { type LeaseView, turnState } from './turn-row.ts';

/** How a session's task has ended. */
export type Ended<T> = { readonly ok: true; readonly result: T } | { readonly ok: false; readonly error: unknown };

/** What a session is for, and how long it may take. */
export interface SessionOptions<T> {
  readonly runId: string;
  readonly purpose: 'import' | 'retention' | 'sweep' | 'dryRun' | 'start' | 'replay';
  /** Time until everything is cut. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  /** Only this folder of the account. */
  readonly folder?: string;
  /** How long to wait for somebody else to be done with the account; default: not at all. */
  readonly patienceMs?: number;
  /** Goes with the first write of the fence. */
  readonly first?: () => readonly RowWrite[];
  /** Done once the lease is held, before the server is called. */
  readonly begin?: (lease: AccountLease) => Promise<void>;
  /**
   * Done when the session is closed and the lease is held still, which it may end with what it writes. `goRound`: the task is
   * done once more, in a new session. What it throws is thrown.
   */
  readonly end?: (ended: Ended<T>, lease: AccountLease) => Promise<'goRound' | undefined>;
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
  options: SessionOptions<T>,
  task: (context: ImportContext, notes: () => Notes) => Promise<T>,
): Promise<SessionResult<T>> {
  const waitUntil = performance.now() + (options.patienceMs ?? 0);
  for (;;) {
    const worker = await Worker.find(inbox, account, options);
    const result = worker instanceof Worker ? await worker.run(task) : worker;
    if (result.kind !== 'leased' || performance.now() >= waitUntil) {
      return result;
    }
    await sleep(askEveryMs, options.signal);
  }
}

/** The lease was not to be had. */
class NotAdmitted extends Error {
  readonly holder: LeaseView;

  constructor(holder: LeaseView) {
    super('Somebody else works on the account');
    this.holder = holder;
  }
}

/** What a worker has found before it takes the turn. */
interface Found {
  readonly row: Parameters<typeof turnState>[0];
  readonly open: OpenRows;
  readonly stored: StoredAccount;
  readonly store: MailStore;
}

/** One try to work on an account. */
class Worker<T> {
  readonly #inbox: InboxContext;
  readonly #account: string;
  readonly #options: SessionOptions<T>;
  readonly #found: Found;
  readonly #startedAt = performance.now();
  readonly #counts = noCounts();
  readonly #errors = new Set<string>();
  #trouble: AccountTrouble | undefined;
  #pages = 0;
  #rounds = 0;

  private constructor(inbox: InboxContext, account: string, options: SessionOptions<T>, found: Found) {
    this.#inbox = inbox;
    this.#account = account;
    this.#options = options;
    this.#found = found;
  }

  /**
   * Reads the turn, then the account: whoever changes what an account begins with has the turn meanwhile, and then this one
   * cannot take it from the row that was read.
   */
  static async find<T>(
    inbox: InboxContext,
    account: string,
    options: SessionOptions<T>,
  ): Promise<Worker<T> | Exclude<SessionResult<T>, { readonly kind: 'done' }>> {
    const { signal } = options;
    const { row, open } = await readTurnAndOpen({ inbox, account, signal });
    const { holder } = turnState(row, inbox.clock.now());
    if (holder) {
      return { kind: 'leased', holder };
    }
    const stored = await inbox.account(account, signal);
    const store = stored?.account.enabled ? await inbox.store(stored.account) : undefined;
    if (!stored || !store) {
      return { kind: 'inactive' };
    }
    return new Worker(inbox, account, options, { row, open, stored, store });
  }

  async run(task: (context: ImportContext, notes: () => Notes) => Promise<T>): Promise<SessionResult<T>> {
    const time = AbortSignal.timeout(this.#options.budgetMs);
    const stop = this.#inbox.shutdown.cutAfter(stopGraceMs);
    const lost = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, lost.signal, time, stop.signal]);
    // The slots for connections are taken meanwhile: with the lease, in one transaction.
    const acquiring = this.#acquire(lost);
    acquiring.catch(() => undefined);
    try {
      return await this.#withLease(acquiring, signal, task);
    } catch (error) {
      if (error instanceof NotAdmitted) {
        return { kind: 'leased', holder: error.holder };
      }
      if (error instanceof StoreError && error.kind === 'noConnection') {
        return { kind: 'noConnection', retryAfterMs: error.retryAfterMs ?? 0 };
      }
      if (error instanceof StoreError && error.kind === 'throttled') {
        log.warn('provider.throttled', { code: error.code, retryAfterMs: error.retryAfterMs });
      }
      throw error;
    } finally {
      stop.forget();
      await (await acquiring.catch(() => undefined))?.release();
    }
  }

  async #acquire(lost: AbortController): Promise<AccountLease> {
    const { runId, purpose, folder, first } = this.#options;
    const view = { runId, purpose, ...(folder === undefined ? {} : { folder }) };
    const lease = await acquireLease(this.#inbox, this.#account, view, {
      found: this.#found,
      ...(first ? { first } : {}),
    });
    if (!isAcquired(lease)) {
      throw new NotAdmitted(lease);
    }
    lease.lost.addEventListener('abort', () => lost.abort(lease.lost.reason), { once: true });
    return lease;
  }

  async #withLease(
    acquiring: Promise<AccountLease>,
    signal: AbortSignal,
    task: (context: ImportContext, notes: () => Notes) => Promise<T>,
  ): Promise<SessionResult<T>> {
    const { begin, end } = this.#options;
    const begun = acquiring.then(async (lease) => await begin?.(lease));
    begun.catch(() => undefined);
    for (;;) {
      let ended: Ended<T>;
      try {
        ended = { ok: true, result: await this.#inSession(acquiring, begun, signal, task) };
      } catch (error) {
        ended = { ok: false, error };
      }
      const lease = await acquiring;
      if (!ended.ok && ended.error instanceof StoreError && ended.error.kind === 'noConnection') {
        // What was begun meanwhile is not to come after what follows.
        await begun.catch(() => undefined);
        throw ended.error;
      }
      const next = await end?.(ended, lease);
      if (next !== 'goRound') {
        if (!ended.ok) throw ended.error;
        return { kind: 'done', result: ended.result };
      }
    }
  }

  async #inSession(
    acquiring: Promise<AccountLease>,
    admitted: Promise<void>,
    signal: AbortSignal,
    task: (context: ImportContext, notes: () => Notes) => Promise<T>,
  ): Promise<T> {
    const session = await this.#found.store.open({ signal, admitted });
    try {
      const context = this.#context(await acquiring, session, signal);
      const notes = () => ({
        error: this.#errors.size === 0 ? undefined : [...this.#errors].join('; '),
        trouble: this.#trouble,
      });
      return await task(context, notes);
    } finally {
      await Promise.race([session.close(), unrefTimeout(closeGraceMs)]);
    }
  }

  #context({ fence, before }: AccountLease, session: StoreSession, signal: AbortSignal): ImportContext {
    const { stored, store, open } = this.#found;
    const { runId, folder } = this.#options;
    this.#rounds += 1;
    return {
      inbox: this.#inbox,
      account: this.#account,
      runId,
      stored,
      store,
      session,
      folders: (stored.account.store?.folders ?? []).filter((each) => (folder ?? each) === each),
      fence,
      // Of a later round nobody knows yet.
      found: this.#rounds === 1 ? { open, quiet: before.quiet } : undefined,
      signal,
      startedAt: this.#startedAt,
      counts: this.#counts,
      nextPage: () => {
        this.#pages += 1;
        return this.#pages;
      },
      note: (error, account) => {
        this.#errors.add(error);
        this.#trouble ??= account;
      },
    };
  }
}

function unrefTimeout(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
