import type { ListedMail } from '../adapters/store.ts';
import { ledgerKey } from './keys.ts';
import { knownMails, type LedgerRow } from './ledger.ts';
import type { Work } from './work.ts';

/**
 * Leaves out drafts, mail from before the account's `since`, and whatever the ledger or a pending row knows. `retry`: the
 * pending mail itself is meant. `doubles`: ledger rows that know the id of one of the mails otherwise (see `knownMails`).
 */
export async function unknownMails(
  work: Work,
  mails: readonly ListedMail[],
  options: { readonly pendingKeys: ReadonlySet<string>; readonly retry: boolean },
): Promise<{ readonly wanted: readonly ListedMail[]; readonly doubles: readonly LedgerRow[] }> {
  const { context, name, signal, counts, stored, store } = work;
  const distinct = [...new Map(mails.map((mail) => [ledgerKey(mail.source), mail])).values()];
  const eligible = distinct.filter(
    (mail) =>
      !mail.draft &&
      (stored.sinceAt === undefined || mail.receivedAt === undefined || mail.receivedAt >= stored.sinceAt),
  );
  counts.skipped += distinct.length - eligible.length;
  if (eligible.length === 0) {
    return { wanted: [], doubles: [] };
  }
  const known = await knownMails(context.rows, name, eligible, { signal, doubles: !store.abilities.lastingIds });
  const unknown = eligible.filter((mail) => {
    const key = ledgerKey(mail.source);
    return !known.has(key) && (options.retry || !options.pendingKeys.has(key));
  });
  const listed = new Set(distinct.map((mail) => ledgerKey(mail.source)));
  return {
    wanted: options.retry ? unknown : await receivedSince(work, unknown),
    // A row whose own id is still listed belongs to that mail.
    doubles: [...known.values()].filter((row) => !listed.has(row.key)),
  };
}

/** Leaves out mail from before the account's `since` where only its headers tell when it came; without a time it is new. */
async function receivedSince(work: Work, mails: readonly ListedMail[]): Promise<readonly ListedMail[]> {
  const { sinceAt = 0 } = work.stored;
  const times = await arrivals(work, mails);
  const wanted = mails.filter((mail) => (times.get(mail) ?? sinceAt) >= sinceAt);
  work.counts.skipped += mails.length - wanted.length;
  return wanted;
}

/**
 * When mails arrived, of those whose listing does not say and whose headers do; asked for only where the account's `since`
 * depends on it. It is no property of the mail as the ledger knows it: other protocols tell another time.
 */
export async function arrivals(work: Work, mails: readonly ListedMail[]): Promise<ReadonlyMap<ListedMail, number>> {
  const untold = mails.filter((mail) => mail.receivedAt === undefined);
  if (work.stored.sinceAt === undefined || untold.length === 0 || !work.session.receivedTimes) {
    return new Map();
  }
  return await work.session.receivedTimes(untold, work.signal);
}
