import { Readable } from 'node:stream';
import type { MailContent } from '../../mail-content.ts';
import { type FetchOptions, type ListedMail, StoreError, type StoreErrorKind } from '../../store.ts';
import { CollectedOctets } from '../collected-octets.ts';
import type { OpenAnswer } from '../graph-client.ts';
import { GraphError } from '../graph-error.ts';
import { type MailboxContext, messageUrl, readItem } from '../mailbox.ts';
import { doubtOf, hasForeignType, looksForeign } from './content-check.ts';
import { isContentFailure, isGone, storeError } from './store-errors.ts';

/** Up to here a mail is held; above, it is streamed. Graph does not give sizes beforehand. Most mail is smaller. */
const smallMail = 256 << 10;
/** Longest header section kept of a mail too large to import. */
const maxHeader = 1 << 20;

/** Graph cannot produce this mail. */
const brokenBy = ({ code, requestId }: GraphError) => ({
  kind: 'broken' as const,
  reason: 'refused' as const,
  code: requestId === undefined ? code : `${code}, request-id ${requestId}`,
});

/** Content of one mail. A `stream` keeps its place at the server until it is read or destroyed. Throws StoreError. */
export async function readContent(
  context: MailboxContext,
  mail: ListedMail,
  options: FetchOptions,
): Promise<MailContent> {
  const { signal } = options;
  const url = messageUrl(context, mail.source.item, ['$value']);
  let open: OpenAnswer;
  try {
    open = await context.client.open({ method: 'GET', url, signal, accept: '*/*' });
  } catch (error) {
    const content = await contentOfFailure(context, mail, error, signal);
    if (content) return content;
    throw storeError(error, signal);
  }
  // Parts of it (206) are not it.
  if (open.answer.status !== 200 || hasForeignType(open.answer)) {
    open.answer.cancel();
    open.release();
    return notMail;
  }
  return options.headersOnly ? await headerSection(open, signal) : await wholeMail(open, mail, signal);
}

/** An answer without the mail, which anything between here and Graph may have given. */
const notMail: MailContent = { kind: 'broken', reason: 'notMail', refusal: 'unclear' };

/** What a refusal concerns that is of these kinds is never one mail alone. */
const allOfThem: ReadonlySet<StoreErrorKind> = new Set(['signIn', 'permission', 'throttled']);

/** What a refused content says of this one mail; undefined where it says something of the server. */
async function contentOfFailure(
  context: MailboxContext,
  mail: ListedMail,
  error: unknown,
  signal: AbortSignal,
): Promise<MailContent | undefined> {
  if (!(error instanceof GraphError) || error.origin !== 'answer') return undefined;
  if (isGone(error)) return { kind: 'gone' };
  if (isContentFailure(error) || error.is('ErrorInvalidIdMalformed', 'ErrorMessageSizeExceeded')) {
    return brokenBy(error);
  }
  if (allOfThem.has(storeError(error, signal).kind)) return undefined;
  // A mail too large or too odd for Exchange to rebuild in time fails again and again, and anything between may refuse it.
  // Where the mailbox answers otherwise, it may be this mail's trouble, which shows when others are asked for.
  try {
    const item = await readItem(context, mail.source.item, 'id', signal);
    return item ? { ...brokenBy(error), refusal: 'unclear' } : { kind: 'gone' };
  } catch {
    return undefined;
  }
}

async function wholeMail(open: OpenAnswer, mail: ListedMail, signal: AbortSignal): Promise<MailContent> {
  const body = open.answer.body();
  const held: Buffer[] = [];
  let size = 0;
  try {
    while (size <= smallMail) {
      const next = await body.next();
      if (next.done) {
        open.release();
        // Never an empty mail: it would be stored as one, and its original deleted.
        if (size === 0) return { kind: 'broken', reason: 'empty' };
        const bytes = Buffer.concat(held);
        if (looksForeign(bytes)) return notMail;
        const doubt = doubtOf(open.answer, bytes, mail.messageId);
        return { kind: 'bytes', bytes, doubt: () => doubt };
      }
      held.push(next.value);
      size += next.value.length;
    }
  } catch (error) {
    open.release();
    throw storeError(error, signal);
  }
  const head = Buffer.concat(held);
  if (looksForeign(head)) {
    open.answer.cancel();
    open.release();
    return notMail;
  }
  const doubt = doubtOf(open.answer, head, mail.messageId);
  const parts = streamed(held, body, open, signal);
  const stream = Readable.from(parts, { objectMode: false, highWaterMark: smallMail });
  // A generator that never began runs no `finally`.
  stream.once('close', () => {
    open.answer.cancel();
    open.release();
  });
  return { kind: 'stream', stream, doubt: () => doubt };
}

async function* streamed(
  held: readonly Buffer[],
  body: AsyncGenerator<Buffer, void, undefined>,
  open: OpenAnswer,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    yield* held;
    yield* body;
  } catch (error) {
    throw error instanceof StoreError ? error : storeError(error, signal);
  } finally {
    open.release();
  }
}

/** The header section with its empty line; what comes after is not waited for. */
async function headerSection(open: OpenAnswer, signal: AbortSignal): Promise<MailContent> {
  const text = new CollectedOctets();
  // The end of the section may lie across pieces.
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of open.answer.body()) {
      const window = Buffer.concat([tail, chunk]);
      const begin = text.length - tail.length;
      text.add(chunk);
      const end = headerEnd(window);
      if (end !== undefined)
        return { kind: 'bytes', bytes: text.bytes().subarray(0, Math.min(begin + end, maxHeader)) };
      if (text.length >= maxHeader) return { kind: 'bytes', bytes: text.bytes().subarray(0, maxHeader) };
      tail = window.subarray(-3);
    }
    if (text.length === 0) return { kind: 'broken', reason: 'empty' };
    return { kind: 'bytes', bytes: text.bytes() };
  } catch (error) {
    throw storeError(error, signal);
  } finally {
    open.release();
  }
}

function headerEnd(text: Buffer): number | undefined {
  const crlf = text.indexOf('\r\n\r\n', 0, 'latin1');
  const lf = text.indexOf('\n\n', 0, 'latin1');
  const ends = [...(crlf < 0 ? [] : [crlf + 4]), ...(lf < 0 ? [] : [lf + 2])];
  return ends.length === 0 ? undefined : Math.min(...ends);
}
