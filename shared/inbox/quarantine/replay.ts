import type { Readable } from 'node:stream';
import { BrokenMail, type ContentDoubt } from '../../adapters/mail-content.ts';
import type { ListedMail } from '../../adapters/store.ts';
import { assetIndexKey } from '../../assets/asset.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { openBlob } from '../../platform/blob-range.ts';
import { sleep } from '../../platform/clock.ts';
import { accountNamed, newestFirstId } from '../../platform/ids.ts';
import { errorText } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { ignoreConflict, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { bounceDone, markBounces } from '../bounces/bounces.ts';
import type { InboxContext } from '../context.ts';
import { type CheckedIn, checkIn } from '../importing/check-in.ts';
import { companionRows } from '../importing/commit.ts';
import { isOwnTrouble } from '../importing/trouble.ts';
import { keptMessageId, pageKeys } from '../keys.ts';
import { type LedgerRow, ledgerColumns, sourceOf } from '../ledger/ledger.ts';
import { beginPage, checkInProgress, interruptRows } from '../ledger/pages-in-progress.ts';
import { listedMail, quarantinePath } from '../ledger/pending.ts';
import { publishCheckedIn } from '../originals/events.ts';
import { busyRefusal, resultOf, storeRefusal } from '../session/asked-now.ts';
import { type Fence, Superseded } from '../session/fence.ts';
import type { ImportContext, ImportPlace } from '../session/import-context.ts';
import { type AccountLease, acquireLease } from '../session/lease.ts';
import { withSession } from '../session/with-session.ts';
import { type QuarantinedMails, type QuarantineRows, refuseUnpublished } from './quarantined-mails.ts';

/** How long a replay waits for an import under way, and how often it looks; in ms. */
const patienceMs = 30_000;
const askEveryMs = 500;

/** Time for the mail server, in ms; with the wait it stays below the platform's 230 s. */
const serverMs = 120_000;

/** What has not ended this long after the end of the process was announced is cut. In ms. */
const stopGraceMs = 2_500;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Checks a quarantined mail in again, from the bytes that are kept, or, where the server gave none, from what it gives now:
 * the mail becomes an asset, under the id that it had. As one worker of the account at a time, and by the same commit as an
 * import; the original is left alone, whatever the account's rule is. Throws Refusal `notFound`; `conflict` where the
 * account stays in use, and where the mail still cannot be checked in; `unavailable` where the server is needed and has
 * trouble.
 */
export async function replay(
  inbox: InboxContext,
  mails: QuarantinedMails,
  id: string,
  options: Options,
): Promise<void> {
  const { row } = await mails.find(id, options);
  try {
    await (row.columns.hasMime === true ? replayKept : replayFromServer)(inbox, mails, id, options);
  } catch (error) {
    if (error instanceof Superseded || error instanceof RowConflict) {
      throw new Refusal('conflict', 'Something else has begun to work on the mail; look again.', { cause: error });
    }
    throw storeRefusal(error);
  }
}

/** Needs neither the mail server nor the account. */
async function replayKept(inbox: InboxContext, mails: QuarantinedMails, id: string, options: Options): Promise<void> {
  const account = accountNamed(id) ?? '';
  const runId = newestFirstId(inbox.clock.now());
  const lease = await leaseOf(inbox, account, runId, options);
  const stop = inbox.shutdown.cutAfter(stopGraceMs);
  const signal = AbortSignal.any([options.signal, lease.lost, stop.signal]);
  try {
    const context = { inbox, account, fence: lease.fence, signal };
    // As it is now: another replay may have had its turn meanwhile.
    const found = await mails.find(id, { signal });
    const give: Give = async (use) => await use(await keptBytes(context, found));
    await new Replay(context, found, mails, runId).run(give);
  } finally {
    stop.forget();
    await lease.release();
  }
}

async function keptBytes(
  { inbox, account, signal }: ImportPlace,
  { localId, entry }: QuarantineRows,
): Promise<Readable> {
  const blob = (await inbox.quarantine()).getBlobClient(quarantinePath(account, localId));
  const bytes = await openBlob(blob, { offset: 0, count: entry.size, signal });
  if (!bytes) throw new Refusal('conflict', 'The bytes of this mail are gone.');
  return bytes;
}

async function replayFromServer(
  inbox: InboxContext,
  mails: QuarantinedMails,
  id: string,
  { signal }: Options,
): Promise<void> {
  const account = accountNamed(id) ?? '';
  const runId = newestFirstId(inbox.clock.now());
  const session = { runId, purpose: 'replay', budgetMs: serverMs, patienceMs, signal } as const;
  const result = await withSession(inbox, account, session, async (context) => {
    const found = await mails.find(id, context);
    await new Replay(context, found, mails, runId).run((use) => givenNow(context, mailOf(found.entry), use));
  });
  resultOf(result);
}

/** What the server gives of the mail now. Throws Refusal `conflict` where it gives nothing. */
async function givenNow(context: ImportContext, mail: ListedMail, use: Use): Promise<CheckedIn> {
  const { session, signal } = context;
  for await (const { content } of session.fetch([mail], { signal })) {
    switch (content.kind) {
      case 'bytes':
        return await use(content.bytes, content.doubt);
      case 'stream':
        return await use(content.stream, content.doubt);
      case 'broken':
        throw new Refusal('conflict', `${new BrokenMail(content.reason, content.code).message}.`);
    }
  }
  throw new Refusal('conflict', 'The server does not have this mail any more: there is nothing to check in.');
}

async function leaseOf(
  inbox: InboxContext,
  account: string,
  runId: string,
  { signal }: Options,
): Promise<AccountLease> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const lease = await acquireLease(inbox, account, { purpose: 'replay', runId });
    if (isAcquired(lease)) return lease;
    if (performance.now() > until) {
      throw busyRefusal(lease);
    }
    await sleep(askEveryMs, signal);
  }
}

/** Checks a content in. `doubt`: what is doubtful about it, asked for when all is read. */
type Use = (content: Buffer | Readable, doubt?: () => ContentDoubt | undefined) => Promise<CheckedIn>;

/** Brings the content, for as long as it is used. */
type Give = (use: Use) => Promise<CheckedIn>;

/** What a replay works with. */
interface ReplayContext extends ImportPlace {
  readonly fence: Fence;
}

/** One replay, under the account's lease. */
class Replay {
  readonly #context: ReplayContext;
  readonly #found: QuarantineRows;
  readonly #mails: QuarantinedMails;
  readonly #keys: { readonly inProgress: string; readonly unfinished: string };

  constructor(context: ReplayContext, found: QuarantineRows, mails: QuarantinedMails, runId: string) {
    this.#context = context;
    this.#found = found;
    this.#mails = mails;
    this.#keys = pageKeys(runId, 1);
  }

  async run(give: Give): Promise<void> {
    const { entry } = this.#found;
    refuseUnpublished(entry);
    await beginPage(this.#context, this.#keys.inProgress, [mailOf(entry)]);
    const checkedIn = await this.#checkIn(give);
    await this.#commit(checkedIn);
    const { account, localId } = this.#found;
    await this.#mails.removeMime(account, localId, this.#context);
  }

  async #checkIn(give: Give): Promise<CheckedIn> {
    const { inbox, account, signal } = this.#context;
    const { entry } = this.#found;
    try {
      const place = { container: await inbox.assets(), account };
      return await give((content, doubt) =>
        checkIn(place, mailOf(entry), content, {
          signal,
          importedAt: inbox.clock.now(),
          oversize: false,
          maxBytes: Number.POSITIVE_INFINITY,
          alone: true,
          ...(doubt ? { doubt } : {}),
          mayReplace: () => checkInProgress(this.#context, this.#keys.inProgress),
          bounces: inbox.bounces,
        }),
      );
    } catch (error) {
      const isRead = !(error instanceof Refusal) && isOwnTrouble(error);
      await this.#interrupt(isRead ? errorText(error) : undefined);
      if (!isRead) throw error;
      throw new Refusal('conflict', `It still cannot be checked in: ${errorText(error)}`, { cause: error });
    }
  }

  /** Ends the page without a commit; what was written of the asset is removed later. `failure`: it was one more attempt. */
  async #interrupt(failure: string | undefined): Promise<void> {
    const { inbox, account } = this.#context;
    const { row, entry } = this.#found;
    const attempts = Number(row.columns.attempts ?? 0) + 1;
    const noted: RowWrite[] =
      failure === undefined
        ? []
        : [{ kind: 'merge', key: row.key, columns: { reason: failure.slice(0, 300), attempts }, etag: row.etag }];
    await inbox.rows
      .write(account, [...noted, ...interruptRows(this.#context, this.#keys.inProgress, [mailOf(entry)])])
      .catch(ignoreConflict);
  }

  /** In one transaction, which also ends the page: a replay that stood still while others went on cannot commit. */
  async #commit(checkedIn: CheckedIn): Promise<void> {
    const { inbox, account } = this.#context;
    const { localId, entry, entryEtag } = this.#found;
    const imported: LedgerRow = {
      ...entry,
      state: 'imported',
      importedAt: checkedIn.importedAt,
      size: checkedIn.size,
      sha256: checkedIn.sha256,
      messageId: keptMessageId(checkedIn.messageId),
      keepOriginal: true,
      todoEvent: true,
      ...(checkedIn.bounces ? { todoBounce: true } : {}),
      todoDispose: false,
    };
    const { inProgress, unfinished } = this.#keys;
    const etags = await inbox.rows.write(account, [
      { kind: 'replace', key: entry.key, columns: ledgerColumns(imported), etag: entryEtag },
      {
        kind: 'put',
        key: assetIndexKey(checkedIn.importedAt, localId),
        columns: { asset: localId, ledger: entry.key },
      },
      ...companionRows(imported),
      ...this.#mails.leavingRows(this.#found),
      inbox.dayCounts.row(account, { at: checkedIn.importedAt, imported: 1, bytes: checkedIn.size }),
      { kind: 'delete', key: inProgress },
      { kind: 'put', key: unfinished, columns: { keys: entry.key } },
    ]);
    // What cannot be passed on now is, with the event, by the next import.
    if ((await markBounces(this.#context, [imported])).size > 0) return;
    await publishCheckedIn(this.#context, [imported]);
    await inbox.rows
      .write(account, [
        { kind: 'delete', key: unfinished, etag: etags.at(-1) ?? '' },
        { kind: 'merge', key: entry.key, columns: { todoEvent: false, ...bounceDone(imported) } },
      ])
      // The next import has found it and does it again.
      .catch(ignoreConflict);
  }
}

function mailOf(entry: LedgerRow): ListedMail {
  const { folder, listedSize: size, receivedAt } = entry;
  return listedMail({ source: sourceOf(entry), folder, size, receivedAt });
}
