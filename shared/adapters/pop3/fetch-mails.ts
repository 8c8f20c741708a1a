import { BrokenMail, type MailContent } from '../mail-content.ts';
import { type FetchedMail, type FetchOptions, type ListedMail, StoreError } from '../store.ts';
import { givesExactSizes } from '../store-troubles.ts';
import type { Body } from './body.ts';
import { locate, nameOf, readHeaders } from './headers.ts';
import { MailStream } from './mail-stream.ts';
import type { Maildrop } from './maildrop.ts';
import { nonsense, replyError } from './pop3-errors.ts';
import type { MaildropContext } from './pop3-sessions.ts';
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
  context: MaildropContext,
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
    const fetching = batch && fetchBatch(context, batch, options);
    // Its failure is seen when its turn comes; if the consumer leaves before, nobody needs it.
    fetching?.catch(() => undefined);
    return fetching;
  };
  let ahead = start(batches[0]);
  if (batches.length <= 1 && large.length === 0) options.asked?.();
  for (let at = 0; ahead !== undefined; at += 1) {
    const { fetched, left, miscounted } = await ahead;
    if (miscounted) large.push(miscounted);
    if (left.length > 0) batches.splice(at + 1, 0, left);
    ahead = start(batches[at + 1]);
    if (batches.length <= at + 2 && large.length === 0) options.asked?.();
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

async function headerContent(context: MaildropContext, mail: ListedMail, signal: AbortSignal): Promise<MailContent> {
  const header = (await readHeaders(context, [mail], signal)).get(mail);
  if (header) return { kind: 'bytes', bytes: header };
  const there = await context.sessions.exclusive(signal, (maildrop) =>
    locate(maildrop, context.identity, [mail], signal),
  );
  return there.size > 0 ? { kind: 'broken', reason: 'noHeader' } : { kind: 'gone' };
}

interface FetchedBatch {
  readonly fetched: readonly FetchedMail[];
  /** A mail far larger than the server said, by which the batch ended. */
  readonly miscounted?: ListedMail;
  /** The mails that the batch did not reach. */
  readonly left: Batch;
}

/** Ends a batch, and with it the session, at a mail too large to be held. */
class Miscounted extends Error {}

async function fetchBatch(
  context: MaildropContext,
  batch: Batch,
  { signal, limit }: FetchOptions,
): Promise<FetchedBatch> {
  return context.sessions.exclusive(signal, async (maildrop) => {
    // Nobody waits for it any more: whatever is asked for behind it comes sooner.
    if (limit?.aborted) return { fetched: [], left: [] };
    const numbers = await locate(maildrop, context.identity, batch, signal);
    const fetched: FetchedMail[] = [];
    for (const mail of batch) if (!numbers.has(mail)) fetched.push({ mail, content: { kind: 'gone' } });
    const there = [...numbers.keys()];
    const commands = [...numbers.values()].map((number) => `RETR ${number}`);
    const last = maildrop.markable([...numbers.values()]);
    const marked = last !== undefined && (await maildrop.canMark(last, signal));
    if (marked) commands.push(maildrop.mark(last));
    let done = 0;
    try {
      await maildrop.connection.each(
        commands,
        async (reply, index) => {
          const mail = there[index];
          if (mail !== undefined) {
            fetched.push({ mail, content: await wholeMail(maildrop, mail, reply, signal) });
            done = index + 1;
          } else if (last !== undefined && !maildrop.isMark(last, reply)) {
            // Somewhere there was one answer too many, and from there on each was taken for that of the next command.
            throw nonsense('RETR', 'answers that are out of step', 'OUT_OF_STEP');
          }
        },
        signal,
      );
    } catch (error) {
      const miscounted = there[done];
      if (error instanceof Miscounted && miscounted !== undefined) {
        return { fetched, miscounted, left: there.slice(done + 1) };
      }
      const alone = there.length === 1 ? fetched.at(-1) : undefined;
      // What follows a mail that is too short is the rest of it, or nonsense: the mail's trouble, where it was alone.
      if (alone && isShort(alone.content) && error instanceof StoreError && error.kind === 'protocol') {
        return { fetched: [...fetched.slice(0, -1), { mail: alone.mail, content: cutShort }], left: [] };
      }
      throw error;
    }
    return { fetched, left: [] };
  });
}

const cutShort: MailContent = { kind: 'broken', reason: 'cutShort' };

function isShort(content: MailContent): boolean {
  return content.kind === 'bytes' && content.doubt?.() === 'cutShort';
}

/** The `doubt` of a mail of which fewer octets came than LIST said. */
function shortOf({ connection }: Maildrop, body: Body) {
  const exact = givesExactSizes(connection.serverName);
  return { doubt: () => (exact && body.short ? ('cutShort' as const) : undefined) };
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
  if (first === undefined && size !== 0) return { kind: 'broken', reason: 'empty' };
  const bytes = pieces.length === 1 && first ? first : Buffer.concat(pieces);
  return { kind: 'bytes', bytes, ...shortOf(maildrop, body) };
}

/** Of a message that this very session lists, it proves nothing (RFC 1939 section 5, RETR). */
const noSuchMessage = /no such|not found|does not exist|doesn't exist|unknown message/i;

/** A mail that the server does not give. Whose trouble it is shows when others are asked for. */
function refused(reply: Reply): MailContent {
  const failure = replyError(reply, 'to give this mail');
  if (failure.kind === 'throttled') throw failure;
  const passing = isPassing(reply) || failure.kind === 'connection' || noSuchMessage.test(reply.text);
  return { kind: 'broken', reason: 'refused', code: failure.code ?? 'ERR', refusal: passing ? 'passing' : 'unclear' };
}

async function* fetchLarge(
  context: MaildropContext,
  mail: ListedMail,
  signal: AbortSignal,
): AsyncGenerator<FetchedMail> {
  const { maildrop, release } = await context.sessions.acquire(signal);
  let stream: MailStream | undefined;
  try {
    const number = (await locate(maildrop, context.identity, [mail], signal)).get(mail);
    const every = maildrop.entries.map((entry) => entry.number);
    const mark = number === undefined ? undefined : maildrop.markable([...every, number]);
    const marked = mark !== undefined && (await maildrop.canMark(mark, signal));
    const reply = number === undefined ? undefined : await maildrop.connection.command(`RETR ${number}`, signal);
    if (number === undefined || reply?.status !== 'ok') {
      const content: MailContent = reply ? refused(reply) : { kind: 'gone' };
      release();
      yield { mail, content };
      return;
    }
    const body: Body = maildrop.connection.body(`RETR ${number}`, mail.size);
    const { doubt } = shortOf(maildrop, body);
    const atEnd = async () => {
      if (mark === undefined || !marked || doubt() === undefined) return;
      const { connection } = maildrop;
      const reply = await connection.command(maildrop.mark(mark), signal).catch(() => undefined);
      if (reply && maildrop.isMark(mark, reply)) return;
      connection.fail(nonsense('RETR', 'answers that are out of step', 'OUT_OF_STEP'));
      throw new BrokenMail('cutShort');
    };
    stream = new MailStream(maildrop.connection, body, { signal, release, atEnd });
    yield { mail, content: { kind: 'stream', stream, doubt } };
  } finally {
    // One that nobody has read to its end is given up, so that the session is free again.
    if (stream) stream.destroy();
    else release();
  }
}
