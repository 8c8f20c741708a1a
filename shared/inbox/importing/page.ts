import type { ListedMail } from '../../adapters/store.ts';
import { errorText, log } from '../../platform/log.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { idKey, ledgerKey, pageKeys } from '../keys.ts';
import { beginPage, interruptRows } from '../ledger/pages-in-progress.ts';
import { type AfterCommit, nothingLeft } from './after-commit.ts';
import { commit } from './commit.ts';
import { substituteRow } from './complete-substitute.ts';
import { PageContents } from './page-contents.ts';
import type { RoundContext } from './round-context.ts';
import { selectNew } from './select-new.ts';
import { type Retry, retryEachAlone, unfinishedRows } from './unfinished.ts';

/** How a page is imported. */
export interface PageOptions {
  /** Ledger keys of mails that are pending already: their own retry deals with them. */
  readonly pendingKeys: ReadonlySet<string>;
  /** Rows that become true when all of the page is checked in or pending: the checkpoint. Asked for at the commit. */
  readonly checkpoint: () => readonly RowWrite[];
  /** The page is the retry of one pending mail. */
  readonly retry?: Retry;
}

/** The mails of a page that are to be imported. */
interface Begun {
  readonly selected: readonly ListedMail[];
  readonly contents: PageContents;
}

/**
 * One page of an import: checks in the mails that the ledger does not know, and commits them. A mail that fails by its own
 * fault, or for which there was no time, becomes pending; trouble of servers or storage is thrown and is nobody's attempt.
 * In three steps, so that a page can be begun and fetched while the one before is written; the commits have their order.
 */
export class PageImport {
  readonly #round: RoundContext;
  readonly #mails: readonly ListedMail[];
  readonly #options: PageOptions;
  readonly #keys: { readonly inProgress: string; readonly unfinished: string };
  readonly #cut = new AbortController();
  readonly #signal: AbortSignal;
  #ids: readonly string[] | undefined;
  #begun: Begun | undefined;
  #work: Promise<void> | undefined;
  #failed = false;

  constructor(round: RoundContext, mails: readonly ListedMail[], options: PageOptions) {
    this.#round = round;
    this.#mails = mails;
    this.#options = options;
    this.#keys = pageKeys(round.context.runId, round.context.nextPage());
    this.#signal = AbortSignal.any([round.context.signal, this.#cut.signal]);
  }

  /** All steps at once. Answers what is left to do with the mails that were committed. Throws as `commit` does. */
  async run(): Promise<AfterCommit> {
    await this.begin();
    return await this.commit();
  }

  /** Ids of its mails: what two pages have in common, the ledger must know before the second is begun. */
  get ids(): readonly string[] {
    this.#ids ??= this.#mails.map(({ source }) => idKey(ledgerKey(source)));
    return this.#ids;
  }

  /** Octets of the mails to be imported, by what the server says of their sizes; infinite where it does not say. */
  get bytes(): number {
    const { selected = [] } = this.#begun ?? {};
    return selected.reduce((sum, { size = Number.POSITIVE_INFINITY }) => sum + size, 0);
  }

  /** Its contents came to nothing: the next page need not be asked for. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Finds the mails that are to be imported, and notes them. Throws Superseded, errors of storage. */
  async begin(): Promise<void> {
    const { context, starts, reconciler } = this.#round;
    const { pendingKeys, retry } = this.#options;
    // The ledger is as it was when this turn began, or newer; the proof comes with the next write.
    const { selected, ambiguousRows } = await selectNew(context, this.#mails, {
      pendingKeys,
      retry: retry !== undefined,
      starts,
      idsChanged: reconciler.active && !context.store.abilities.lastingIds,
    });
    if (selected.length === 0) {
      return;
    }
    await beginPage(context, this.#keys.inProgress, selected);
    const contents = new PageContents(this.#round, {
      inProgress: this.#keys.inProgress,
      retry,
      ambiguousRows,
      signal: this.#signal,
    });
    this.#begun = { selected, contents };
  }

  /**
   * Begins to fetch the mails and to check them in, unless that was begun, or the page was abandoned. `turn`: its time begins
   * then, which is when the pages before it have been handed out.
   */
  fetch(turn: Promise<unknown> = Promise.resolve()): void {
    if (!this.#begun || this.#work || this.#cut.signal.aborted) {
      return;
    }
    const { selected, contents } = this.#begun;
    const { retry } = this.#options;
    const { limit, forget } = limitFrom(turn, () => retry?.limitMs ?? this.#round.time.pageMs());
    this.#work = contents.take(selected, AbortSignal.any([limit, this.#cut.signal])).finally(forget);
    // Its failure is thrown by `commit`.
    this.#work.catch(() => {
      this.#failed = true;
    });
  }

  /** Resolves once its contents have been asked for: those of another page may be. Never rejects. */
  async asked(): Promise<void> {
    if (this.#work) await this.#begun?.contents.asked;
  }

  /** Resolves once its contents have been handed out: the session is free for another page. Never rejects. */
  async handedOut(): Promise<void> {
    if (this.#work) await this.#begun?.contents.handedOut;
  }

  /** Resolves once nothing of it is being written before its commit. Never rejects. */
  async written(): Promise<void> {
    await this.#work?.catch(() => undefined);
  }

  /** Answers what is left to do with the mails that were committed. Throws StoreError, Superseded, errors of storage. */
  async commit(): Promise<AfterCommit> {
    const { context } = this.#round;
    const { retry, checkpoint } = this.#options;
    const ended: RowWrite[] = retry ? [{ kind: 'delete', key: retry.pending.key }] : [];
    if (!this.#begun) {
      await context.fence.write([...ended, ...checkpoint()]);
      return nothingLeft;
    }
    const { checkedIn, unfinished, missing, rebound } = this.#begun.contents;
    this.fetch();
    const { pending, quarantined } = await this.#left(this.#begun);
    const now = context.inbox.clock.now();
    // Each was alone: its row takes the place of the one that is ended.
    const again = checkedIn.flatMap(({ mail, substitute }) => (substitute ? [substituteRow(mail, 1, now)] : []));
    const { counts } = context;
    counts.quarantined += quarantined.length;
    counts.skipped += missing.length + rebound.size;
    const progress = this.#round.progress?.({ ...counts, imported: counts.imported + checkedIn.length });
    const { imported, toFinish } = await commit(context, checkedIn, {
      ...this.#keys,
      quarantined,
      alongside: [
        ...(unfinished.length > 0 ? pending : again.length > 0 ? again : ended),
        ...checkpoint(),
        ...(progress ? [progress] : []),
      ],
    });
    counts.imported += imported;
    return { items: toFinish, verify: retry !== undefined };
  }

  /** Rows of the mails that are not checked in, once their contents have come. Throws StoreError, Superseded, errors of storage. */
  async #left({ selected, contents }: Begun): ReturnType<typeof unfinishedRows> {
    const { retry } = this.#options;
    const options = { inProgress: this.#keys.inProgress, ...(retry ? { retry } : {}) };
    try {
      await this.#work;
      return await unfinishedRows(this.#round, contents.unfinished, options);
    } catch (error) {
      await retryEachAlone(this.#round, selected, error, options);
      throw error;
    }
  }

  /** Leaves it, where a page before it failed: its mails stay behind the checkpoint, and it is nobody's attempt. Never throws. */
  async abandon(): Promise<void> {
    this.#cut.abort(new Error('a page before it failed'));
    await this.written();
    if (!this.#begun) {
      return;
    }
    const { inbox, account } = this.#round.context;
    const { inProgress } = this.#keys;
    // Of a page that was not fetched nothing can have been written.
    const ended: RowWrite[] = this.#work
      ? interruptRows(this.#round.context, inProgress, this.#begun.selected)
      : [{ kind: 'delete', key: inProgress }];
    await inbox.rows.write(account, ended).catch((failure: unknown) => {
      // Storage is away, and the next run finds the row of the page in progress; or another run has ended the page.
      log.warn('inbox.retryNotNoted', { error: errorText(failure) });
    });
  }
}

/** Is aborted so many ms after `turn`. `forget`: nobody needs it any more. */
function limitFrom(turn: Promise<unknown>, ms: () => number): { readonly limit: AbortSignal; forget(): void } {
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let forgotten = false;
  void turn.then(() => {
    if (!forgotten) timer = setTimeout(() => limit.abort(new Error('the time of the page is over')), Math.ceil(ms()));
  });
  return {
    limit: limit.signal,
    forget: () => {
      forgotten = true;
      clearTimeout(timer);
    },
  };
}
