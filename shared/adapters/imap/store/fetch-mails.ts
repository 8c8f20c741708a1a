import { type JoinedFetches, smallBatches } from '../../joined-fetches.ts';
import type { FetchedMail, FetchOptions, ListedMail } from '../../store.ts';
import { groupByScope, type LocatedMail, locate } from '../source-id.ts';
import { fetchLarge } from './large-mail.ts';
import type { ListingContext } from './listing.ts';
import { contentTooLarge } from './mail-content.ts';

/** Mails a command when only headers are asked for: their sizes are not known before. */
const HEADER_BATCH_MAILS = 4;

/** Fetches of one session: what waits for the connection may be asked for by one command. */
export type SessionFetches = JoinedFetches<undefined, LocatedMail, readonly FetchedMail[]>;

/**
 * `StoreSession.fetch`. A command never waits for the consumer: its mails are held (bounded: see `smallBatches`) and then handed
 * out, so that the consumer may call anything else on the session between two mails, and even within a stream.
 */
export async function* fetchMails(
  context: ListingContext,
  fetches: SessionFetches,
  mails: readonly ListedMail[],
  options: FetchOptions,
): AsyncGenerator<FetchedMail> {
  const located: LocatedMail[] = [];
  for (const mail of mails) {
    const found = locate(mail, context.identity);
    if (found) located.push(found);
    // Not of this mailbox, so this mailbox does not have it.
    else yield { mail, content: { kind: 'gone' } };
  }
  const batches: (readonly LocatedMail[])[] = [];
  const large: LocatedMail[] = [];
  for (const group of groupByScope(located)) {
    const small = options.headersOnly ? headerBatches(group) : smallBatches(group, sizeOf);
    batches.push(...small.batches);
    large.push(...small.large);
  }
  const start = (batch: readonly LocatedMail[] | undefined) => {
    const fetching = batch && fetchBatch(fetches, batch, options);
    // Its failure is seen when its turn comes; if the consumer leaves before, nobody needs it.
    fetching?.catch(() => undefined);
    return fetching;
  };
  let ahead = start(batches[0]);
  if (batches.length <= 1 && large.length === 0) options.asked?.();
  for (let at = 0; ahead !== undefined; at += 1) {
    const fetched: readonly FetchedMail[] = await ahead;
    ahead = start(batches[at + 1]);
    if (batches.length <= at + 2 && large.length === 0) options.asked?.();
    yield* fetched;
  }
  for (const one of large) {
    yield { mail: one.subject, content: await fetchLarge(context, one, options.signal) };
  }
}

/** Octets of a mail, by the listing. */
export const sizeOf = ({ subject }: LocatedMail): number | undefined => subject.size;

function headerBatches(group: readonly LocatedMail[]) {
  const batches: LocatedMail[][] = [];
  for (let at = 0; at < group.length; at += HEADER_BATCH_MAILS) batches.push(group.slice(at, at + HEADER_BATCH_MAILS));
  return { batches, large: [] };
}

async function fetchBatch(
  fetches: SessionFetches,
  batch: readonly LocatedMail[],
  options: FetchOptions,
): Promise<readonly FetchedMail[]> {
  const [only, ...others] = batch;
  try {
    return await fetches.fetch(batch, options);
  } catch (error) {
    if (only === undefined || others.length > 0) throw error;
    return [{ mail: only.subject, content: contentTooLarge(error) }];
  }
}
