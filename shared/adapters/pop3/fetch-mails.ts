import { smallBatches } from '../joined-fetches.ts';
import { BrokenMail, type MailContent } from '../mail-content.ts';
import type { FetchedMail, FetchOptions, ListedMail } from '../store.ts';
import type { Body } from './body.ts';
import type { SessionFetches } from './fetch-together.ts';
import { locate, nameOf, readHeaders } from './headers.ts';
import { refused, shortOf } from './mail-content.ts';
import { MailStream } from './mail-stream.ts';
import { nonsense } from './pop3-errors.ts';
import type { MaildropContext } from './pop3-sessions.ts';

type Batch = readonly ListedMail[];

/**
 * `StoreSession.fetch`. Small mails never wait for the consumer: they are held (bounded: see `smallBatches`) and then handed out, so
 * that the consumer may call anything else on the session between two mails. A large mail holds the session until its
 * stream has ended.
 */
export async function* fetchMails(
  context: MaildropContext,
  fetches: SessionFetches,
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
  const { batches, large } = smallBatches(mine, ({ size }) => size);
  const start = (batch: Batch | undefined) => {
    const fetching = batch && fetches.fetch(batch, options);
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

async function headerContent(context: MaildropContext, mail: ListedMail, signal: AbortSignal): Promise<MailContent> {
  const header = (await readHeaders(context, [mail], signal)).get(mail);
  if (header) return { kind: 'bytes', bytes: header };
  const there = await context.sessions.exclusive(signal, (maildrop) =>
    locate(maildrop, context.identity, [mail], signal),
  );
  return there.size > 0 ? { kind: 'broken', reason: 'noHeader' } : { kind: 'gone' };
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
