import type { Readable } from 'node:stream';
import { BrokenMail, type MailContent } from '../../adapters/mail-content.ts';
import { type ListedMail, StoreError } from '../../adapters/store.ts';
import { BoundedTasks } from '../../platform/concurrency.ts';
import { errorText } from '../../platform/log.ts';
import { idKey, ledgerKey } from '../keys.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { checkInProgress } from '../ledger/pages-in-progress.ts';
import { Superseded } from '../session/fence.ts';
import { type CheckedIn, checkIn } from './check-in.ts';
import { hashOf } from './reconcile.ts';
import type { RoundContext } from './round-context.ts';
import { Doubtful, isOwnTrouble, Oversize, ToBeReread } from './trouble.ts';
import type { Retry, Unfinished } from './unfinished.ts';
import { until } from './until.ts';

/**
 * Mails of a page that are checked in at one time, and bytes of them held together. Two pages have contents at a time, and
 * more where all are small: see `PageLine`. That bounds a run's memory.
 */
const checkInLimits = { tasks: 32, bytes: 12 << 20 };

/** What contents are fetched for. */
export interface ContentsOptions {
  /** Key of the row that notes the page. */
  readonly inProgress: string;
  /** The page is the retry of one pending mail. */
  readonly retry?: Retry | undefined;
  /** Ledger rows that know the id of one of the mails otherwise. */
  readonly ambiguousRows: readonly LedgerRow[];
  /** Cuts what is being checked in. The session is left alone: other pages and disposals use it. */
  readonly signal: AbortSignal;
}

/** The contents of a page's mails: fetched, and checked in as they come. */
export class PageContents {
  readonly checkedIn: CheckedIn[] = [];
  /** Mails that are gone from the server. */
  readonly missing: ListedMail[] = [];
  readonly unfinished: Unfinished[] = [];
  /** Mails that the ledger knew under another id. */
  readonly rebound = new Set<ListedMail>();
  readonly #round: RoundContext;
  readonly #options: ContentsOptions;
  readonly #oversize: ListedMail[] = [];
  readonly #asked = Promise.withResolvers<undefined>();
  readonly #handedOut = Promise.withResolvers<undefined>();
  /** When what is still under way is set aside. */
  #limit = new AbortController().signal;
  /** The server gave the content of one of the mails. */
  #given = false;

  constructor(round: RoundContext, options: ContentsOptions) {
    this.#round = round;
    this.#options = options;
  }

  /** Resolves once the server has been asked for all of it, or will not be: another page may be fetched. Never rejects. */
  get asked(): Promise<unknown> {
    return this.#asked.promise;
  }

  /** Resolves once the server has given what it was asked for, or will not: the session is free for others. Never rejects. */
  get handedOut(): Promise<unknown> {
    return this.#handedOut.promise;
  }

  /**
   * Fetches mails and checks them in; what is still under way at `limit` is set aside. Rejects with trouble that is no mail's
   * own; then nothing of it is under way any more.
   */
  async take(selected: readonly ListedMail[], limit: AbortSignal): Promise<void> {
    this.#limit = limit;
    try {
      await this.#round.reconciler.listFor(selected);
      const { maxMessageSize } = this.#round.context.stored.account.import;
      const large = selected.filter((mail) => (mail.size ?? 0) > maxMessageSize);
      const whole = large.length === 0 ? selected : selected.filter((mail) => !large.includes(mail));
      await this.#fetch(whole, { headersOnly: false, last: large.length === 0 });
      // Some servers do not announce a mail's size.
      await this.#fetch([...large, ...this.#oversize], { headersOnly: true, last: true });
      this.#options.signal.throwIfAborted();
      await this.#judgeMissing();
      await this.#judgeRefusals();
      this.#setAsideRemaining(selected);
    } finally {
      this.#asked.resolve(undefined);
      this.#handedOut.resolve(undefined);
    }
  }

  async #fetch(
    mails: readonly ListedMail[],
    { headersOnly, last }: { readonly headersOnly: boolean; readonly last: boolean },
  ): Promise<void> {
    const { session, signal } = this.#round.context;
    const limit = this.#limit;
    if (mails.length === 0 || limit.aborted) {
      return;
    }
    const checkIns = new BoundedTasks(checkInLimits);
    const allAsked = () => {
      if (last) this.#asked.resolve(undefined);
    };
    try {
      const fetched = session.fetch(mails, { signal, headersOnly, limit, asked: allAsked });
      for await (const { mail, content } of until(limit, fetched)) {
        const task = () => this.#importMail(mail, content, headersOnly);
        if (content.kind === 'stream') {
          // Its bytes pass through the session: the next mail can only be asked for when it is through.
          await checkIns.idle();
          await task();
        } else {
          await checkIns.start(task, content.kind === 'bytes' ? content.bytes.length : 0);
        }
      }
      if (last) this.#handedOut.resolve(undefined);
    } finally {
      // Nothing of this page may still be under way when its failure is dealt with.
      await checkIns.idle();
    }
    await checkIns.finish();
  }

  async #importMail(mail: ListedMail, content: MailContent, headersOnly: boolean): Promise<void> {
    if (content.kind === 'gone') {
      this.missing.push(mail);
      return;
    }
    if (content.kind === 'broken') {
      const { refusal } = content;
      const reason = new BrokenMail(content.reason, content.code).message;
      this.unfinished.push(
        refusal === undefined
          ? { kind: 'failed', mail, reason }
          : { kind: 'refused', mail, reason, passing: refusal === 'passing' },
      );
      this.#given ||= refusal === undefined;
      return;
    }
    this.#given = true;
    const { context } = this.#round;
    const { retry, signal, inProgress } = this.#options;
    const limit = this.#limit;
    const before = retry?.pending.cause;
    const bytes = content.kind === 'bytes' ? content.bytes : content.stream;
    try {
      if (before?.kind !== 'reread' && (await this.#rebind(mail, bytes, headersOnly))) {
        return;
      }
      const container = await context.inbox.assets();
      this.checkedIn.push(
        await checkIn({ container, account: context.account }, mail, bytes, {
          signal: AbortSignal.any([signal, limit]),
          importedAt: context.inbox.clock.now(),
          oversize: headersOnly,
          maxBytes: headersOnly ? Number.POSITIVE_INFINITY : context.stored.account.import.maxMessageSize,
          alone: retry !== undefined,
          ...(content.doubt ? { doubt: content.doubt } : {}),
          ...(before?.kind === 'doubt' ? { acceptBytes: before.bytes } : {}),
          mayReplace: () => checkInProgress(context, inProgress),
          bounces: context.inbox.bounces,
        }),
      );
    } catch (error) {
      if (error instanceof Oversize) {
        this.#oversize.push(mail);
        return;
      }
      if (signal.aborted || error instanceof Superseded) {
        throw error;
      }
      if (limit.aborted) {
        // Set aside with those that were not reached.
        return;
      }
      if (error instanceof ToBeReread) {
        this.unfinished.push({ kind: 'reread', mail });
        return;
      }
      if (!isOwnTrouble(error)) {
        throw error;
      }
      const doubtful = error instanceof Doubtful ? { bytes: error.bytes } : {};
      this.unfinished.push({ kind: 'failed', mail, reason: errorText(error), ...doubtful });
    }
  }

  /** Rebinds a known mail that is met under a new id. A streamed mail is hashed first and, if new, fetched again. */
  async #rebind(mail: ListedMail, content: Buffer | Readable, headersOnly: boolean): Promise<boolean> {
    const { reconciler, context } = this.#round;
    const key = ledgerKey(mail.source);
    const ambiguous = this.#options.ambiguousRows.filter((row) => idKey(row.key) === idKey(key));
    const decides = context.store.abilities.stableBytes && !headersOnly;
    // The bytes tell at once which of many known mails it is. A stream is spent by that: it is read only where there is
    // something to compare it with.
    const hashAtHand = decides && reconciler.active && Buffer.isBuffer(content) ? await hashOf(content) : undefined;
    const candidates = await reconciler.candidates(mail, ambiguous, hashAtHand);
    if (candidates.length === 0) {
      return false;
    }
    const sha256 = hashAtHand ?? (decides || ambiguous.length > 0 ? await hashOf(content) : undefined);
    for (const row of candidates) {
      // Of an oversize mail the ledger has the hash of its headers: enough to distinguish mails with the same id.
      if (row.sha256 === sha256 || !(decides || ambiguous.includes(row))) {
        if (await reconciler.rebind(row, mail, this.#options.inProgress)) {
          this.rebound.add(mail);
          return true;
        }
      }
    }
    if (sha256 !== undefined && !Buffer.isBuffer(content)) {
      // Its stream is spent. As a pending mail it is fetched again, alone, by this very run.
      this.unfinished.push({ kind: 'reread', mail });
      return true;
    }
    return false;
  }

  /** A mail is gone when it is no longer listed; one that is listed, and said not to be there, is refused for now. */
  async #judgeMissing(): Promise<void> {
    if (this.missing.length === 0) {
      return;
    }
    const { session, signal } = this.#round.context;
    const missing = this.missing.splice(0);
    const there = await session.stillListed(missing, signal);
    for (const mail of missing) {
      if (there.has(mail)) {
        this.unfinished.push({ kind: 'refused', mail, reason: listedOnly, passing: true });
      } else {
        this.missing.push(mail);
      }
    }
  }

  /** Where the server gives none of what it is asked for, it is the account's trouble, and no mail's attempt. */
  async #judgeRefusals(): Promise<void> {
    const refused = this.unfinished.filter((one) => one.kind === 'refused');
    const [first] = refused;
    if (!first || this.#given) {
      return;
    }
    // A mail that is being disposed of is gone, which says nothing of the server. Its failure is thrown elsewhere.
    await this.#round.pipeline.idle().catch(() => undefined);
    if (await this.#round.evidence.givesOthers(refused.map(({ mail }) => mail))) {
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
      ...this.rebound,
      ...this.missing,
      ...this.checkedIn.map(({ mail }) => mail),
      ...this.unfinished.map(({ mail }) => mail),
    ]);
    for (const mail of selected) {
      if (!done.has(mail)) {
        this.unfinished.push({ kind: 'setAside', mail });
      }
    }
  }
}

const listedOnly = 'The server lists the mail and says that it is not there';
