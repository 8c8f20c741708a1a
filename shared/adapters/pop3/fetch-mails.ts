import type { FetchedMail, FetchOptions, ListedMail, MailContent } from '../store.ts';
import type { Body } from './body.ts';
import { locate, nameOf, readHeaders } from './headers.ts';
import type { ListingContext } from './listing.ts';
import { MailStream } from './mail-stream.ts';
import type { Maildrop } from './maildrop.ts';
import { replyError } from './pop3-errors.ts';
import { isPassing, type Reply } from './replies.ts';

/** Up to here a mail is fetched whole, with others in flight; above, it is streamed. Most mail is smaller. */
const SMALL_MAIL = 256 * 1024;
/** Octets and mails in one go. One is being consumed and one under way, so twice this is held at most. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_MAILS = 64;
/** A mail may be this much larger than LIST says and is held all the same; beyond it, it is streamed. */
const MISCOUNT = 1024 * 1024;

type Batch = readonly ListedMail[];

/**
 * `StoreSession.fetch`. Small mails never wait for the consumer: they are held (bounded as above) and then handed out, so
 * that the consumer may call anything else on the session between two mails. A large mail holds the session until its
 * stream has ended.
 */
export async function* fetchMails(
  context: ListingContext,
  mails: readonly ListedMail[],
  options: FetchOptions,
): AsyncGenerator<FetchedMail> {
  const mine = mails.filter(({ source }) => nameOf(source, context.identity) !== undefined);
  for (const mail of mails) {
    // Not of this maildrop, so this maildrop does not have it.
    if (!mine.includes(mail)) yield { mail, content: { kind: 'gone' } };
  }
  if (options.headersOnly) {
    for (const mail of mine) yield { mail, content: await headerContent(context, mail, options.signal) };
    return;
  }
  const { batches, large } = batchesOf(mine);
  const start = (batch: Batch | undefined) => {
    const fetching = batch && fetchBatch(context, batch, options.signal);
    // Its failure is seen when its turn comes; if the consumer leaves before, nobody needs it.
    fetching?.catch(() => undefined);
    return fetching;
  };
  let ahead = start(batches[0]);
  for (let at = 0; ahead !== undefined; at += 1) {
    const { fetched, left, miscounted } = await ahead;
    if (miscounted) large.push(miscounted);
    if (left.length > 0) batches.splice(at + 1, 0, left);
    ahead = start(batches[at + 1]);
    yield* fetched;
  }
  for (const mail of large) yield* fetchLarge(context, mail, options.signal);
}

function batchesOf(mails: readonly ListedMail[]): { batches: Batch[]; large: ListedMail[] } {
  const batches: ListedMail[][] = [];
  const large: ListedMail[] = [];
  let octets = 0;
  for (const mail of mails) {
    const { size } = mail;
    if (size === undefined || size > SMALL_MAIL) {
      large.push(mail);
      continue;
    }
    const batch = batches.at(-1);
    if (batch === undefined || batch.length >= BATCH_MAILS || octets + size > BATCH_BYTES) {
      batches.push([mail]);
      octets = size;
    } else {
      batch.push(mail);
      octets += size;
    }
  }
  return { batches, large };
}

async function headerContent(context: ListingContext, mail: ListedMail, signal: AbortSignal): Promise<MailContent> {
  const header = (await readHeaders(context, [mail], signal)).get(mail);
  if (header) return { kind: 'bytes', bytes: header };
  const there = await context.maildrops.exclusive(signal, (maildrop) =>
    locate(maildrop, context.identity, [mail], signal),
  );
  return there.size > 0 ? { kind: 'broken', reason: 'the server gives no header for this mail' } : { kind: 'gone' };
}

interface FetchedBatch {
  readonly fetched: readonly FetchedMail[];
  /** A mail far larger than the server said, by which the batch ended. */
  readonly miscounted?: ListedMail;
  /** What the batch did not come to. */
  readonly left: Batch;
}

/** Ends a batch, and with it the session, at a mail too large to be held. */
class Miscounted extends Error {}

async function fetchBatch(context: ListingContext, batch: Batch, signal: AbortSignal): Promise<FetchedBatch> {
  return context.maildrops.exclusive(signal, async (maildrop) => {
    const numbers = await locate(maildrop, context.identity, batch, signal);
    const fetched: FetchedMail[] = [];
    for (const mail of batch) if (!numbers.has(mail)) fetched.push({ mail, content: { kind: 'gone' } });
    const there = [...numbers.keys()];
    let done = 0;
    try {
      await maildrop.connection.each(
        [...numbers.values()].map((number) => `RETR ${number}`),
        async (reply, index) => {
          const mail = there[index];
          if (mail === undefined) return;
          fetched.push({ mail, content: await wholeMail(maildrop, mail, reply, signal) });
          done = index + 1;
        },
        signal,
      );
    } catch (error) {
      const miscounted = there[done];
      if (!(error instanceof Miscounted) || miscounted === undefined) throw error;
      return { fetched, miscounted, left: there.slice(done + 1) };
    }
    return { fetched, left: [] };
  });
}

async function wholeMail(
  maildrop: Maildrop,
  mail: ListedMail,
  reply: Reply,
  signal: AbortSignal,
): Promise<MailContent> {
  const { size } = mail;
  if (reply.status !== 'ok') return refused(reply);
  const body = maildrop.connection.body('RETR', size);
  const pieces: Buffer[] = [];
  for (let octets = await body.next(signal); octets; octets = await body.next(signal)) {
    pieces.push(octets);
    if (body.received > (size ?? 0) + MISCOUNT) throw new Miscounted();
  }
  const [first] = pieces;
  // Never an empty mail where the server counts octets: it would be stored as such, and its original deleted.
  if (first === undefined && size !== 0)
    return { kind: 'broken', reason: `the server sent an empty mail and counts ${size}` };
  return { kind: 'bytes', bytes: pieces.length === 1 && first ? first : Buffer.concat(pieces) };
}

/** A mail that the server does not give is its own trouble, unless the server says that it is a passing one of its own. */
function refused(reply: Reply): MailContent {
  if (isPassing(reply)) throw replyError(reply, 'RETR');
  return { kind: 'broken', reason: replyError(reply, 'to give this mail').message };
}

async function* fetchLarge(
  context: ListingContext,
  mail: ListedMail,
  signal: AbortSignal,
): AsyncGenerator<FetchedMail> {
  const { maildrop, release } = await context.maildrops.hold(signal);
  let stream: MailStream | undefined;
  try {
    const number = (await locate(maildrop, context.identity, [mail], signal)).get(mail);
    const reply = number === undefined ? undefined : await maildrop.connection.command(`RETR ${number}`, signal);
    if (reply?.status !== 'ok') {
      const content: MailContent = reply ? refused(reply) : { kind: 'gone' };
      release();
      yield { mail, content };
      return;
    }
    const body: Body = maildrop.connection.body(`RETR ${number}`, mail.size);
    stream = new MailStream(maildrop.connection, body, signal, release);
    yield { mail, content: { kind: 'stream', stream } };
  } finally {
    // One that nobody has read to its end is given up, so that the session is free again.
    if (stream) stream.destroy();
    else release();
  }
}
