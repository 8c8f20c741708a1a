import type { MailContent } from '../../mail-content.ts';
import type { FetchedMail, FetchOptions, ListedMail } from '../../store.ts';
import { atom, bodyPeek, type CommandNode } from '../command-arguments.ts';
import { groupByScope, type LocatedMail, locate, sameFolder } from '../source-id.ts';
import { fetchLarge } from './large-mail.ts';
import type { ListingContext } from './listing.ts';
import { contentTooLarge, expectedSize, smallContent, withheld } from './mail-content.ts';

/** Up to here a mail is fetched whole, with others in one command; above, it is streamed. Most mail is smaller. */
const SMALL_MAIL = 256 * 1024;
/** Bytes and mails in one command. One command is being consumed and one under way, so twice this is held at most. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_MAILS = 64;
/** Longest header section kept of a mail too large to import. */
const MAX_HEADER = 1024 * 1024;
/** Mails a command when only headers are asked for: their sizes are not known before. */
const HEADER_BATCH_MAILS = 4;

/**
 * `StoreSession.fetch`. A command never waits for the consumer: its mails are held (bounded as above) and then handed
 * out, so that the consumer may call anything else on the session between two mails, and even within a stream.
 */
export async function* fetchMails(
  context: ListingContext,
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
  const batches: LocatedMail[][] = [];
  const large: LocatedMail[] = [];
  for (const group of groupByScope(located)) {
    const { small, tooLarge } = options.headersOnly ? headerBatches(group) : batchesOf(group);
    batches.push(...small);
    large.push(...tooLarge);
  }
  const start = (batch: readonly LocatedMail[] | undefined) => {
    const fetching = batch && fetchBatch(context, batch, options);
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

function headerBatches(group: readonly LocatedMail[]) {
  const small: LocatedMail[][] = [];
  for (let at = 0; at < group.length; at += HEADER_BATCH_MAILS) small.push(group.slice(at, at + HEADER_BATCH_MAILS));
  return { small, tooLarge: [] };
}

function batchesOf(group: readonly LocatedMail[]) {
  const small: LocatedMail[][] = [];
  const tooLarge: LocatedMail[] = [];
  let bytes = 0;
  for (const one of group) {
    const { size } = one.subject;
    if (size === undefined || size > SMALL_MAIL) {
      tooLarge.push(one);
      continue;
    }
    const batch = small.at(-1);
    if (batch === undefined || batch.length >= BATCH_MAILS || bytes + size > BATCH_BYTES) {
      small.push([one]);
      bytes = size;
    } else {
      batch.push(one);
      bytes += size;
    }
  }
  return { small, tooLarge };
}

const wholeMail: readonly CommandNode[] = [atom('UID'), bodyPeek([])];
const headerOnly: readonly CommandNode[] = [atom('UID'), bodyPeek([atom('HEADER')], [0, MAX_HEADER])];

async function fetchBatch(
  context: ListingContext,
  batch: readonly LocatedMail[],
  options: FetchOptions,
): Promise<readonly FetchedMail[]> {
  const [only, ...others] = batch;
  try {
    return await fetchTogether(context, batch, options);
  } catch (error) {
    if (only === undefined || others.length > 0) throw error;
    return [{ mail: only.subject, content: contentTooLarge(error) }];
  }
}

/** Mails of one folder by one command. */
async function fetchTogether(
  context: ListingContext,
  batch: readonly LocatedMail[],
  options: FetchOptions,
): Promise<readonly FetchedMail[]> {
  const { signal } = options;
  const { connection, mailbox } = context;
  const scope = batch[0]?.scope;
  if (scope === undefined) return [];
  return connection.exclusive(signal, async () => {
    // Nobody waits for it any more: whatever is asked for behind it comes sooner.
    if (options.limit?.aborted) return [];
    const opened = await mailbox.select(scope.folder, signal);
    if (!sameFolder(opened, scope)) return batch.map(({ subject }) => ({ mail: subject, content: { kind: 'gone' } }));
    const items = options.headersOnly ? headerOnly : wholeMail;
    const { rows, refused } = await mailbox.fetchRows(
      batch.map(({ uid }) => uid),
      items,
      signal,
    );
    const missing = batch.filter(({ uid }) => rows.get(uid)?.body === undefined).map(({ uid }) => uid);
    const { serverName } = connection;
    const still = missing.length === 0 ? new Set<number>() : await mailbox.existing(missing, signal);
    return batch.map(({ subject, uid }) => {
      const body = rows.get(uid)?.body;
      const content: MailContent =
        body === undefined
          ? still.has(uid)
            ? withheld(refused.get(uid))
            : { kind: 'gone' }
          : smallContent(body, subject.size, options.headersOnly ? undefined : expectedSize(serverName, subject.size));
      return { mail: subject, content };
    });
  });
}
