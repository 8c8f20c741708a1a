import type { Readable } from 'node:stream';
import { BrokenMail, type MailContent } from '../../adapters/mail-content.ts';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import { BoundedTasks } from '../../platform/concurrency.ts';
import { errorText } from '../../platform/log.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { idKey, ledgerKey, pageKeys } from '../keys.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { beginPage, checkInProgress } from '../ledger/pages-in-progress.ts';
import { finish } from '../originals/finish.ts';
import { Superseded } from '../session/fence.ts';
import { type CheckedIn, checkIn } from './check-in.ts';
import { commit } from './commit.ts';
import { substituteRow } from './complete-substitute.ts';
import { hashOf } from './reconcile.ts';
import type { AfterCommit, RoundContext } from './round-context.ts';
import { selectNew } from './select-new.ts';
import { Doubtful, isOwnTrouble, Oversize, ToBeReread } from './trouble.ts';
import { type Retry, retryEachAlone, type Unfinished, unfinishedRows } from './unfinished.ts';
import { until } from './until.ts';

/** Mails being checked in at one time, and bytes of them held together: what bounds a run's memory. */
const checkInLimits = { tasks: 12, bytes: 24 << 20 };

/** How a page is imported. */
export interface PageOptions {
  /** Ledger keys of mails that are pending already: their own retry deals with them. */
  readonly pendingKeys: ReadonlySet<string>;
  /** Rows that become true when all of the page is checked in or pending: the checkpoint. */
  readonly checkpoint: readonly RowWrite[];
  /** The page is the retry of one pending mail. */
  readonly retry?: Retry;
}

/**
 * One page of an import: checks in the mails that the ledger does not know, and commits them. A mail that fails by its own
 * fault, or for which there was no time, becomes pending; trouble of servers or storage is thrown and is nobody's attempt.
 */
export class PageImport {
  readonly #round: RoundContext;
  readonly #mails: readonly ListedMail[];
  readonly #options: PageOptions;
  readonly #keys: { readonly inProgress: string; readonly unfinished: string };
  /** When what is still under way is set aside. */
  readonly #limit: AbortSignal;
  readonly #checkedIn: CheckedIn[] = [];
  readonly #oversize: ListedMail[] = [];
  readonly #missing: ListedMail[] = [];
  readonly #unfinished: Unfinished[] = [];
  readonly #rebound = new Set<ListedMail>();
  /** The server gave the content of one of the mails. */
  #given = false;
  #ambiguousRows: readonly LedgerRow[] = [];

  constructor(round: RoundContext, mails: readonly ListedMail[], options: PageOptions) {
    this.#round = round;
    this.#mails = mails;
    this.#options = options;
    this.#keys = pageKeys(round.context.runId, round.context.nextPage());
    this.#limit = AbortSignal.timeout(Math.ceil(options.retry?.limitMs ?? round.time.pageMs()));
  }

  /** Answers what is left to do with the mails that were committed. Throws StoreError, Superseded, errors of storage. */
  async run(): Promise<AfterCommit> {
    const { context } = this.#round;
    const { pendingKeys, retry, checkpoint } = this.#options;
    const ended: RowWrite[] = retry ? [{ kind: 'delete', key: retry.pending.key }] : [];
    // The ledger is as it was when this turn began, or newer; the proof comes with the next write.
    const { starts, reconciler } = this.#round;
    const { selected, ambiguousRows } = await selectNew(context, this.#mails, {
      pendingKeys,
      retry: retry !== undefined,
      starts,
      idsChanged: reconciler.active && !context.store.abilities.lastingIds,
    });
    if (selected.length === 0) {
      await context.fence.write([...ended, ...checkpoint]);
      return async () => undefined;
    }
    this.#ambiguousRows = ambiguousRows;
    await beginPage(context, this.#keys.inProgress, selected);
    try {
      await this.#importMails(selected);
    } catch (error) {
      await retryEachAlone(this.#round, selected, error, { ...this.#keys, ...(retry ? { retry } : {}) });
      throw error;
    }
    const { pending, quarantined } = await unfinishedRows(this.#round, this.#unfinished, {
      inProgress: this.#keys.inProgress,
      ...(retry ? { retry } : {}),
    });
    const now = context.inbox.clock.now();
    // Each was alone: its row takes the place of the one that is ended.
    const again = this.#checkedIn.flatMap(({ mail, substitute }) => (substitute ? [substituteRow(mail, 1, now)] : []));
    context.counts.quarantined += quarantined.length;
    context.counts.skipped += this.#missing.length + this.#rebound.size;
    const { counts } = context;
    const progress = this.#round.progress?.({ ...counts, imported: counts.imported + this.#checkedIn.length });
    const { imported, toFinish } = await commit(context, this.#checkedIn, {
      ...this.#keys,
      quarantined,
      alongside: [
        ...(this.#unfinished.length > 0 ? pending : again.length > 0 ? again : ended),
        ...checkpoint,
        ...(progress ? [progress] : []),
      ],
    });
    counts.imported += imported;
    return async () => {
      await finish(context, toFinish, { verify: retry !== undefined });
    };
  }

  async #importMails(selected: readonly ListedMail[]): Promise<void> {
    const { context, reconciler } = this.#round;
    await reconciler.listFor(selected);
    const { maxMessageSize } = context.stored.account.import;
    const large = selected.filter((mail) => (mail.size ?? 0) > maxMessageSize);
    await this.#fetch(
      selected.filter((mail) => !large.includes(mail)),
      { headersOnly: false },
    );
    // Some servers do not announce a mail's size.
    await this.#fetch([...large, ...this.#oversize], { headersOnly: true });
    context.signal.throwIfAborted();
    await this.#judgeMissing();
    await this.#judgeRefusals();
    this.#setAsideRemaining(selected);
  }

  async #fetch(mails: readonly ListedMail[], { headersOnly }: { readonly headersOnly: boolean }): Promise<void> {
    if (mails.length === 0 || this.#limit.aborted) {
      return;
    }
    const { session, signal } = this.#round.context;
    const checkIns = new BoundedTasks(checkInLimits);
    try {
      const fetched = session.fetch(mails, { signal, headersOnly, limit: this.#limit });
      for await (const { mail, content } of until(this.#limit, fetched)) {
        const task = () => this.#importMail(mail, content, headersOnly);
        if (content.kind === 'stream') {
          // Its bytes pass through the session: the next mail can only be asked for when it is through.
          await checkIns.idle();
          await task();
        } else {
          await checkIns.start(task, content.kind === 'bytes' ? content.bytes.length : 0);
        }
      }
    } finally {
      // Nothing of this page may still be under way when its failure is dealt with.
      await checkIns.idle();
    }
    await checkIns.finish();
  }

  async #importMail(mail: ListedMail, content: MailContent, headersOnly: boolean): Promise<void> {
    if (content.kind === 'gone') {
      this.#missing.push(mail);
      return;
    }
    if (content.kind === 'broken') {
      const { refusal } = content;
      const reason = new BrokenMail(content.reason, content.code).message;
      this.#unfinished.push(
        refusal === undefined
          ? { kind: 'failed', mail, reason }
          : { kind: 'refused', mail, reason, passing: refusal === 'passing' },
      );
      this.#given ||= refusal === undefined;
      return;
    }
    this.#given = true;
    const { context } = this.#round;
    const before = this.#options.retry?.pending.cause;
    const bytes = content.kind === 'bytes' ? content.bytes : content.stream;
    try {
      if (before?.kind !== 'reread' && (await this.#rebind(mail, bytes, headersOnly))) {
        return;
      }
      const container = await context.inbox.assets();
      this.#checkedIn.push(
        await checkIn({ container, account: context.account }, mail, bytes, {
          signal: AbortSignal.any([context.signal, this.#limit]),
          importedAt: context.inbox.clock.now(),
          oversize: headersOnly,
          maxBytes: headersOnly ? Number.POSITIVE_INFINITY : context.stored.account.import.maxMessageSize,
          alone: this.#options.retry !== undefined,
          ...(content.doubt ? { doubt: content.doubt } : {}),
          ...(before?.kind === 'doubt' ? { acceptBytes: before.bytes } : {}),
          mayReplace: () => checkInProgress(context, this.#keys.inProgress),
          bounces: context.inbox.bounces,
        }),
      );
    } catch (error) {
      if (error instanceof Oversize) {
        this.#oversize.push(mail);
        return;
      }
      if (context.signal.aborted || error instanceof Superseded) {
        throw error;
      }
      if (this.#limit.aborted) {
        // Set aside with those that were not reached.
        return;
      }
      if (error instanceof ToBeReread) {
        this.#unfinished.push({ kind: 'reread', mail });
        return;
      }
      if (!isOwnTrouble(error)) {
        throw error;
      }
      const doubtful = error instanceof Doubtful ? { bytes: error.bytes } : {};
      this.#unfinished.push({ kind: 'failed', mail, reason: errorText(error), ...doubtful });
    }
  }

  /** Rebinds a known mail that is met under a new id. A streamed mail is hashed first and, if new, fetched again. */
  async #rebind(mail: ListedMail, content: Buffer | Readable, headersOnly: boolean): Promise<boolean> {
    const { reconciler, context } = this.#round;
    const key = ledgerKey(mail.source);
    const ambiguous = this.#ambiguousRows.filter((row) => idKey(row.key) === idKey(key));
    const candidates = await reconciler.candidates(mail, ambiguous);
    if (candidates.length === 0) {
      return false;
    }
    const decides = context.store.abilities.stableBytes && !headersOnly;
    const sha256 = decides || ambiguous.length > 0 ? await hashOf(content) : undefined;
    for (const row of candidates) {
      // Of an oversize mail the ledger has the hash of its headers: enough to distinguish mails with the same id.
      if (row.sha256 === sha256 || !(decides || ambiguous.includes(row))) {
        if (await reconciler.rebind(row, mail, this.#keys.inProgress)) {
          this.#rebound.add(mail);
          return true;
        }
      }
    }
    if (sha256 !== undefined && !Buffer.isBuffer(content)) {
      // Its stream is spent. As a pending mail it is fetched again, alone, by this very run.
      this.#unfinished.push({ kind: 'reread', mail });
      return true;
    }
    return false;
  }

  /** A mail is gone when it is no longer listed; one that is listed, and said not to be there, is refused for now. */
  async #judgeMissing(): Promise<void> {
    if (this.#missing.length === 0) {
      return;
    }
    const { session, signal } = this.#round.context;
    const missing = this.#missing.splice(0);
    const there = await session.stillListed(missing, signal);
    for (const mail of missing) {
      if (there.has(mail)) {
        this.#unfinished.push({ kind: 'refused', mail, reason: listedOnly, passing: true });
      } else {
        this.#missing.push(mail);
      }
    }
  }

  /** Where the server gives none of what it is asked for, it is the account's trouble, and no mail's attempt. */
  async #judgeRefusals(): Promise<void> {
    const refused = this.#unfinished.filter((one) => one.kind === 'refused');
    const [first] = refused;
    if (!first || this.#given || (await this.#round.evidence.givesOthers(refused.map(({ mail }) => mail)))) {
      return;
    }
    throw new StoreError('connection', `the server gives no mail now: ${first.reason}`, {
      code: 'NO_CONTENT',
      hint: 'It lists mails and refuses to give any. It may pass; the server’s log says more.',
    });
  }

  /** Mails that were not reached, or not finished, when the page's time was over. */
  #setAsideRemaining(selected: readonly ListedMail[]): void {
    const done = new Set<ListedMail>([
      ...this.#rebound,
      ...this.#missing,
      ...this.#checkedIn.map(({ mail }) => mail),
      ...this.#unfinished.map(({ mail }) => mail),
    ]);
    for (const mail of selected) {
      if (!done.has(mail)) {
        this.#unfinished.push({ kind: 'setAside', mail });
      }
    }
  }
}

const listedOnly = 'The server lists the mail and says that it is not there';
