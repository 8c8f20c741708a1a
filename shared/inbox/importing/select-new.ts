import type { ListedMail } from '../../adapters/store.ts';
import { ledgerKey } from '../keys.ts';
import { knownMails, type LedgerRow } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { StartingPoints } from './starting-points.ts';

/** What is known beside the ledger. */
export interface SelectOptions {
  /** Ledger keys of pending mails. */
  readonly pendingKeys: ReadonlySet<string>;
  /** The pending mail itself is meant. */
  readonly retry: boolean;
  readonly starts: StartingPoints;
  /** The server has given new ids. */
  readonly idsChanged: boolean;
}

/**
 * Leaves out drafts, mail from before the account's `since`, and whatever the ledger or a pending row knows.
 * `ambiguousRows`: ledger rows that know the id of one of the mails otherwise (see
 * `knownMails`).
 */
export async function selectNew(
  context: ImportContext,
  mails: readonly ListedMail[],
  options: SelectOptions,
): Promise<{ readonly selected: readonly ListedMail[]; readonly ambiguousRows: readonly LedgerRow[] }> {
  const { inbox, account, signal, counts, stored, store } = context;
  const distinct = [...new Map(mails.map((mail) => [ledgerKey(mail.source), mail])).values()];
  const eligible = distinct.filter(
    (mail) =>
      !mail.draft &&
      (stored.sinceAt === undefined || mail.receivedAt === undefined || mail.receivedAt >= stored.sinceAt),
  );
  counts.skipped += distinct.length - eligible.length;
  if (eligible.length === 0) {
    return { selected: [], ambiguousRows: [] };
  }
  const known = await knownMails(inbox.rows, account, eligible, { signal, ambiguous: !store.abilities.lastingIds });
  const unknown = eligible.filter((mail) => {
    const key = ledgerKey(mail.source);
    return !known.has(key) && (options.retry || !options.pendingKeys.has(key));
  });
  const listed = new Set(distinct.map((mail) => ledgerKey(mail.source)));
  return {
    selected: options.retry ? unknown : await receivedSince(context, unknown, options),
    // A row whose own id is still listed belongs to that mail.
    ambiguousRows: [...known.values()].filter((row) => !listed.has(row.key)),
  };
}

/** Leaves out mail from before the account's `since` where only its headers say when it came; without a time it is new. */
async function receivedSince(
  context: ImportContext,
  mails: readonly ListedMail[],
  { starts, idsChanged }: SelectOptions,
): Promise<readonly ListedMail[]> {
  const { sinceAt = 0 } = context.stored;
  const times = await arrivals(context, mails);
  const held = await starts.held(mails, idsChanged);
  const wanted = mails.filter((mail) => !held.has(mail) && (times.get(mail) ?? sinceAt) >= sinceAt);
  context.counts.skipped += mails.length - wanted.length;
  return wanted;
}

/**
 * When mails arrived, of those whose listing does not say and whose headers do; asked for only where the account's `since`
 * depends on it. It is no property of the mail as the ledger knows it: other protocols give another time.
 */
export async function arrivals(
  context: ImportContext,
  mails: readonly ListedMail[],
): Promise<ReadonlyMap<ListedMail, number>> {
  const withoutTime = mails.filter((mail) => mail.receivedAt === undefined);
  if (context.stored.sinceAt === undefined || withoutTime.length === 0 || !context.session.receivedTimes) {
    return new Map();
  }
  return await context.session.receivedTimes(withoutTime, context.signal);
}
