import type { Readable } from 'node:stream';
import { type ListedMail, type MailContent, StoreError } from '../adapters/store.ts';
import { accountId } from '../platform/ids.ts';
import { errorText, log } from '../platform/log.ts';
import type { RowWrite } from '../platform/rows.ts';
import { type CheckedIn, checkIn } from './check-in.ts';
import { commit } from './commit.ts';
import { assetRest, ledgerKey } from './keys.ts';
import { knownMails } from './ledger.ts';
import { inWorkRow, maxAttempts, type PendingMail, pageKeys, pendingRow, removeAssetBlobs } from './pending.ts';
import { quarantine } from './quarantine.ts';
import { hashOf, type Reconciler } from './reconcile.ts';
import { settle } from './settle.ts';
import { isOwnTrouble, Oversize } from './trouble.ts';
import type { Work } from './work.ts';

/** Mails being checked in at once, and bytes of them held at once: what bounds a run's memory. */
const checkInsAtOnce = 12;
const bytesAtOnce = 24 << 20;

export interface PageOptions {
  readonly reconciler: Reconciler;
  /** Ledger keys of mails that are pending already: their own retry deals with them. */
  readonly pendingKeys: ReadonlySet<string>;
  /** The pending row, where this page is the retry of one mail. */
  readonly retryOf?: PendingMail;
  /** Rows that become true when all of the page is checked in or pending: the checkpoint. */
  readonly checkpoint: readonly RowWrite[];
}

/** What is done when the page is committed: events and disposals, which the next page's fetch need not wait for. */
export type Settling = () => Promise<void>;

/**
 * Checks in the mails of a page that the ledger does not know, and commits them. Mails that fail by their own fault
 * become pending; trouble of servers or storage is thrown and is nobody's attempt.
 */
export async function importPage(work: Work, mails: readonly ListedMail[], options: PageOptions): Promise<Settling> {
  const { context, name, signal } = work;
  const wanted = await unknownMails(work, mails, options);
  const keys = pageKeys(work.runId, work.nextPage());
  const ended: RowWrite[] = options.retryOf ? [{ kind: 'delete', key: options.retryOf.key }] : [];
  if (wanted.length === 0) {
    await context.rows.write(name, [...ended, ...options.checkpoint]);
    return async () => undefined;
  }
  await context.rows.write(name, [inWorkRow(keys.inWork, wanted)]);
  const tally = new PageTally();
  const { maxMessageSize } = work.stored.account.import;
  const oversize = wanted.filter((mail) => (mail.size ?? 0) > maxMessageSize);
  const regular = wanted.filter((mail) => (mail.size ?? 0) <= maxMessageSize);
  try {
    await fetchAndCheckIn(work, regular, false, options, tally);
    // Some servers do not tell a mail's size beforehand.
    await fetchAndCheckIn(work, [...oversize, ...tally.oversize], true, options, tally);
    signal.throwIfAborted();
  } catch (error) {
    await isolate(work, wanted, keys.inWork, error, options);
    throw error;
  }
  const failures = await failureRows(work, tally, options);
  const rows = await commit(work, tally.checkedIn, {
    inWork: keys.inWork,
    unfinished: keys.unfinished,
    alongside: [...(failures.length === 0 ? ended : failures), ...options.checkpoint],
  });
  work.counts.imported += rows.length;
  work.counts.skipped += tally.gone;
  return () =>
    settle(work, rows, {
      verify: options.retryOf !== undefined,
      unfinished: rows.length > 0 ? [keys.unfinished] : [],
    });
}

/**
 * The server went away, or the time was over, while a page was fetched. That is nobody's attempt; but should one mail
 * be what breaks the line every time, it must not stop the others: each is fetched alone next time, and one that is
 * alone already waits a while.
 */
async function isolate(
  work: Work,
  mails: readonly ListedMail[],
  inWork: string,
  error: unknown,
  { retryOf }: PageOptions,
): Promise<void> {
  if (!(error instanceof StoreError) && !work.signal.aborted) {
    return;
  }
  const now = work.context.clock.now();
  const reason = errorText(error);
  const rows = mails.map((mail) =>
    retryOf ? pendingRow(mail, retryOf.attempts, reason, now, retryOf.troubles + 1) : pendingRow(mail, 0, reason, now),
  );
  await work.context.rows.write(work.name, [...rows, { kind: 'delete', key: inWork }]).catch((failure: unknown) => {
    // Storage is away as well: the row of the page in work tells the next run.
    log.warn('inbox.isolateFailed', { error: errorText(failure) });
  });
}

/** What became of a page's mails so far. */
class PageTally {
  readonly checkedIn: CheckedIn[] = [];
  readonly oversize: ListedMail[] = [];
  readonly failed: { readonly mail: ListedMail; readonly reason: string }[] = [];
  gone = 0;
}

/** Leaves out drafts, mail from before the account's `since`, and whatever the ledger or a pending row knows. */
async function unknownMails(work: Work, mails: readonly ListedMail[], options: PageOptions): Promise<ListedMail[]> {
  const { context, name, signal, counts, stored } = work;
  const distinct = [...new Map(mails.map((mail) => [ledgerKey(mail.source), mail])).values()];
  const eligible = distinct.filter(
    (mail) =>
      !mail.draft &&
      (stored.sinceAt === undefined || mail.receivedAt === undefined || mail.receivedAt >= stored.sinceAt),
  );
  counts.skipped += distinct.length - eligible.length;
  if (eligible.length === 0) {
    return [];
  }
  const known = await knownMails(context.rows, name, eligible, { signal });
  return eligible.filter((mail) => {
    const key = ledgerKey(mail.source);
    return !known.has(key) && (options.retryOf !== undefined || !options.pendingKeys.has(key));
  });
}

async function fetchAndCheckIn(
  work: Work,
  mails: readonly ListedMail[],
  oversize: boolean,
  options: PageOptions,
  tally: PageTally,
): Promise<void> {
  if (mails.length === 0) {
    return;
  }
  const slots = new Slots();
  try {
    for await (const { mail, content } of work.session.fetch(mails, { signal: work.signal, headersOnly: oversize })) {
      const size = content.kind === 'bytes' ? content.bytes.length : 0;
      const task = () => take(work, mail, content, oversize, options, tally);
      if (content.kind === 'stream') {
        // Its bytes pass through the session: the next mail can only be asked for when it is through.
        await slots.idle();
        await task();
      } else {
        await slots.start(size, task);
      }
    }
  } finally {
    // Nothing of this page may still be under way when its failure is dealt with.
    await slots.idle();
  }
  slots.throwFailure();
}

/** Tasks under way, bounded in number and bytes; the first failure stops new ones. */
class Slots {
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  async start(bytes: number, task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= checkInsAtOnce || (this.#bytes + bytes > bytesAtOnce && this.#running.size > 0)) {
      await Promise.race(this.#running);
    }
    this.throwFailure();
    this.#bytes += bytes;
    const running: Promise<void> = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#bytes -= bytes;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  throwFailure(): void {
    if (this.#failure) {
      throw this.#failure.error;
    }
  }
}

async function take(
  work: Work,
  mail: ListedMail,
  content: MailContent,
  oversize: boolean,
  options: PageOptions,
  tally: PageTally,
): Promise<void> {
  if (content.kind === 'gone') {
    tally.gone += 1;
    return;
  }
  if (content.kind === 'broken') {
    tally.failed.push({ mail, reason: content.reason });
    return;
  }
  const bytes = content.kind === 'bytes' ? content.bytes : content.stream;
  try {
    const reread = options.retryOf?.reason === rereadReason;
    if (options.reconciler.active && !reread && (await reboundHere(work, mail, bytes, oversize, options, tally))) {
      return;
    }
    const container = await work.context.assets();
    const importedAt = work.context.clock.now();
    const maxBytes = oversize ? Number.POSITIVE_INFINITY : work.stored.account.import.maxMessageSize;
    tally.checkedIn.push(
      await checkIn(container, work.name, mail, bytes, { signal: work.signal, importedAt, oversize, maxBytes }),
    );
  } catch (error) {
    if (error instanceof Oversize) {
      tally.oversize.push(mail);
      return;
    }
    if (!isOwnTrouble(error) || work.signal.aborted) {
      throw error;
    }
    tally.failed.push({ mail, reason: errorText(error) });
  }
}

/** Rebinds a known mail that is met under a new id. A streamed mail is hashed first and, if new, fetched again. */
async function reboundHere(
  work: Work,
  mail: ListedMail,
  content: Buffer | Readable,
  oversize: boolean,
  options: PageOptions,
  tally: PageTally,
): Promise<boolean> {
  const candidates = await options.reconciler.candidates(mail);
  if (candidates.length === 0) {
    return false;
  }
  const decides = work.store.abilities.stableBytes && !oversize;
  const sha256 = decides ? await hashOf(content) : undefined;
  for (const row of candidates) {
    if (sha256 === undefined || row.sha256 === sha256) {
      if (await options.reconciler.rebind(row, mail)) {
        work.counts.skipped += 1;
        return true;
      }
    }
  }
  if (sha256 !== undefined && !Buffer.isBuffer(content)) {
    // Its stream is spent. As a pending mail it is fetched again, alone, by this very run.
    tally.failed.push({ mail, reason: rereadReason });
    return true;
  }
  return false;
}

/** Not a failure: the mail only has to be fetched once more. */
const rereadReason = 'To be fetched again';

/** Pending or quarantine rows for the mails of the page that failed. */
async function failureRows(work: Work, tally: PageTally, options: PageOptions): Promise<RowWrite[]> {
  const rows: RowWrite[] = [];
  const now = work.context.clock.now();
  for (const { mail, reason } of tally.failed) {
    const before = options.retryOf?.attempts ?? 0;
    if (reason === rereadReason) {
      rows.push(pendingRow(mail, before, reason, now));
      continue;
    }
    const attempts = before + 1;
    log.warn('inbox.mailFailed', { asset: accountId(work.name, assetRest(work.name, mail.source)), attempts, reason });
    await removeAssetBlobs(work.context, work.name, assetRest(work.name, mail.source), work.signal);
    if (attempts >= maxAttempts) {
      rows.push(...(await quarantine(work, mail, reason)));
      work.counts.quarantined += 1;
    } else {
      rows.push(pendingRow(mail, attempts, reason, now));
      work.counts.pending += 1;
    }
  }
  return rows;
}
