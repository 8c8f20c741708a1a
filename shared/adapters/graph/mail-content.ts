import { Readable } from 'node:stream';
import { type FetchOptions, type ListedMail, type MailContent, StoreError } from '../store.ts';
import type { OpenAnswer } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { type MailboxContext, messageUrl, readItem } from './mailbox.ts';
import { isContentFailure, isGone, storeError } from './store-errors.ts';

/** Up to here a mail is held; above, it is streamed. Graph does not tell sizes before. Most mail is smaller. */
const smallMail = 256 << 10;
/** Longest header section kept of a mail too large to import. */
const maxHeader = 1 << 20;

const brokenReason = ({ code, requestId }: GraphError) =>
  `Graph cannot produce this mail (${code}${requestId === undefined ? '' : `, request-id ${requestId}`})`;

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
  return options.headersOnly ? await headerSection(open, signal) : await wholeMail(open, signal);
}

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
    return { kind: 'broken', reason: brokenReason(error) };
  }
  // A mail too large or too odd for Exchange to rebuild in time fails like this as well, again and again. Where the
  // mailbox answers otherwise, it is this mail's trouble.
  if (error.status !== 500 && error.status !== 504) return undefined;
  try {
    const item = await readItem(context, mail.source.item, 'id', signal);
    return item ? { kind: 'broken', reason: brokenReason(error) } : { kind: 'gone' };
  } catch {
    return undefined;
  }
}

async function wholeMail(open: OpenAnswer, signal: AbortSignal): Promise<MailContent> {
  const body = open.answer.body();
  const held: Buffer[] = [];
  let size = 0;
  try {
    while (size <= smallMail) {
      const next = await body.next();
      if (next.done) {
        open.release();
        // Never an empty mail: it would be stored as one, and its original deleted.
        if (size === 0) return { kind: 'broken', reason: 'Graph sent an empty mail' };
        return { kind: 'bytes', bytes: Buffer.concat(held) };
      }
      held.push(next.value);
      size += next.value.length;
    }
  } catch (error) {
    open.release();
    throw storeError(error, signal);
  }
  const parts = rest(held, body, open, signal);
  const stream = Readable.from(parts, { objectMode: false, highWaterMark: smallMail });
  // A generator that never began runs no `finally`.
  stream.once('close', () => {
    open.answer.cancel();
    open.release();
  });
  return { kind: 'stream', stream };
}

async function* rest(
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
  let text = Buffer.alloc(0);
  try {
    for await (const chunk of open.answer.body()) {
      const from = Math.max(0, text.length - 3);
      text = Buffer.concat([text, chunk]);
      const end = headerEnd(text, from);
      if (end !== undefined) return { kind: 'bytes', bytes: text.subarray(0, end) };
      if (text.length >= maxHeader) return { kind: 'bytes', bytes: text.subarray(0, maxHeader) };
    }
    if (text.length === 0) return { kind: 'broken', reason: 'Graph sent an empty mail' };
    return { kind: 'bytes', bytes: text };
  } catch (error) {
    throw storeError(error, signal);
  } finally {
    open.release();
  }
}

function headerEnd(text: Buffer, from: number): number | undefined {
  const crlf = text.indexOf('\r\n\r\n', from, 'latin1');
  const lf = text.indexOf('\n\n', from, 'latin1');
  const ends = [...(crlf < 0 ? [] : [crlf + 4]), ...(lf < 0 ? [] : [lf + 2])];
  return ends.length === 0 ? undefined : Math.min(...ends);
}
