import type { Account } from '../accounts/rules.ts';
import { type BodySource, mediaType, readBody } from '../http/body.ts';
import { parseJson, requireJson } from '../http/json-body.ts';
import { HttpProblem } from '../http/problem.ts';
import { sleep } from '../platform/clock.ts';
import { type AcceptOptions, accept, mailOfKey, type PreparedMail } from './accept.ts';
import { composeMail } from './compose.ts';
import type { OutboxContext } from './context.ts';
import { deliver } from './deliver.ts';
import { parseIdempotencyKey, requestHasher } from './idempotency.ts';
import { KeyHold, type UsedKey } from './key-hold.ts';
import { newMessageId } from './message-ids.ts';
import { getMessage } from './messages.ts';
import { freezeRaw, maxRawBytes } from './raw-message.ts';
import { type MessageRecord, openStatuses, recordId } from './record.ts';
import { maxRequestBytes, parseSendRequest } from './request.ts';
import { requireSending } from './senders.ts';

export interface SubmitRequest extends BodySource {
  readonly query: URLSearchParams;
  readonly body: (BodySource['body'] & AsyncIterable<unknown>) | null;
}

export interface SubmitOptions {
  readonly signal: AbortSignal;
  /** The caller waits this long for the outcome; absent: not at all. */
  readonly waitMs?: number;
}

export interface Submitted {
  readonly record: MessageRecord;
  /** Nothing is left to do for it: sent, failed, uncertain, canceled. */
  readonly ended: boolean;
}

const rawType = 'message/rfc822';

/** How often a message that somebody else delivers is looked at. */
const lookMs = 100;

/**
 * A mail that a caller hands in, as JSON or ready-made as `message/rfc822`: checked, taken over, and, where the caller
 * waits, delivered at once. Throws HttpProblem; then nothing is stored and no key is held.
 */
export async function submit(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  options: SubmitOptions,
): Promise<Submitted> {
  requireSending(account);
  const key = parseIdempotencyKey(request.headers.get('idempotency-key'));
  if (mediaType(request).type !== rawType) {
    requireJson(request, rawType);
  }
  const record =
    key === undefined
      ? await take(context, account, request, options)
      : await takeWithKey(context, account, request, key, options);
  const due = (record.nextAttemptAt ?? 0) <= context.clock.now();
  if (options.waitMs !== undefined && openStatuses.includes(record.status) && due) {
    return await deliverNow(context, record, options.waitMs, options.signal);
  }
  return { record, ended: !openStatuses.includes(record.status) };
}

/** The hash of a request with a key: body, content type and query. */
type RequestHasher = ReturnType<typeof requestHasher>;

interface HeldKey {
  readonly name: string;
  readonly hold: KeyHold;
  readonly hasher: RequestHasher;
}

function hasherOf(request: SubmitRequest): RequestHasher {
  const query = new URLSearchParams(request.query.toString());
  // The caller's function key is no part of the request: after a rotation it is still the same one.
  query.delete('code');
  return requestHasher(request.headers.get('content-type') ?? '', query.toString());
}

/** Holds the key while its request is taken over; a request that is refused, whatever the reason, gives it back. */
async function takeWithKey(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  name: string,
  options: SubmitOptions,
): Promise<MessageRecord> {
  const hold = await KeyHold.take(context, account.name, name, options);
  const hasher = hasherOf(request);
  if (!(hold instanceof KeyHold)) {
    return await repeated(context, account.name, request, hold, hasher, options);
  }
  try {
    return await take(context, account, request, options, { name, hold, hasher });
  } catch (error) {
    await hold.release();
    throw error;
  }
}

/** The mail that a key brought before, if this is the request it came with. */
async function repeated(
  context: OutboxContext,
  account: string,
  request: SubmitRequest,
  used: UsedKey,
  hasher: RequestHasher,
  { signal }: SubmitOptions,
): Promise<MessageRecord> {
  let size = 0;
  const pass = (chunk: Uint8Array) => {
    size += chunk.length;
    if (size > maxRawBytes) {
      throw new HttpProblem(413, `A mail is at most ${maxRawBytes} bytes.`);
    }
    hasher.update(chunk);
  };
  for await (const _ of bytesOf(request.body ?? [], pass)) {
    signal.throwIfAborted();
  }
  return await mailOfKey(context, account, used, hasher.digest(), { signal });
}

async function take(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  { signal, waitMs }: SubmitOptions,
  key?: HeldKey,
): Promise<MessageRecord> {
  const prepare = mediaType(request).type === rawType ? prepareRaw : prepareJson;
  const mail = await prepare(request, account, { now: context.clock.now(), signal, hasher: key?.hasher });
  const accepting: AcceptOptions = {
    signal,
    deliverHere: waitMs !== undefined,
    ...(key ? { key: { name: key.name, hold: key.hold, requestHash: () => key.hasher.digest() } } : {}),
  };
  return await accept(context, account, mail, accepting);
}

interface PrepareOptions {
  readonly now: number;
  readonly signal: AbortSignal;
  readonly hasher: RequestHasher | undefined;
}

async function prepareJson(
  request: SubmitRequest,
  account: Account,
  { now, signal, hasher }: PrepareOptions,
): Promise<PreparedMail> {
  const body = await readBody(request, { maxBytes: maxRequestBytes, signal });
  hasher?.update(body);
  const parsed = parseSendRequest(parseJson(body), account, { now });
  const { open, ...mail } = composeMail(parsed, { messageId: newMessageId(parsed.from.address), date: new Date(now) });
  return { ...mail, content: open() };
}

async function prepareRaw(
  request: SubmitRequest,
  account: Account,
  { now, hasher }: PrepareOptions,
): Promise<PreparedMail> {
  if (!request.body) {
    throw new HttpProblem(400, 'The body is empty; a mail is expected.');
  }
  // Before it is uploaded; a body that declares no length is counted as it passes.
  if (Number(request.headers.get('content-length') ?? 0) > maxRawBytes) {
    throw new HttpProblem(413, `A mail is at most ${maxRawBytes} bytes.`);
  }
  const bytes = bytesOf(request.body, (chunk) => hasher?.update(chunk));
  return await freezeRaw(bytes, account, { now });
}

async function* bytesOf(
  body: AsyncIterable<unknown> | readonly unknown[],
  pass: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) {
      throw new HttpProblem(400, 'The body cannot be read.');
    }
    pass(chunk);
    yield chunk;
  }
}

/**
 * Delivers while the caller waits. When the time is over the delivery goes on by itself; should this process end, the
 * recovery timer finds the message.
 */
async function deliverNow(
  context: OutboxContext,
  record: MessageRecord,
  waitMs: number,
  signal: AbortSignal,
): Promise<Submitted> {
  const id = recordId(record);
  // Not the request's signal: a caller who stops waiting does not stop the mail. What it throws it has told.
  const delivery = deliver(context, id, { signal: AbortSignal.timeout(deliveryMs) }).catch(() => undefined);
  const until = performance.now() + waitMs;
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), waitMs);
  });
  const outcome = await Promise.race([delivery, time]);
  clearTimeout(timer);
  let after = await getMessage(context, id, { signal });
  // Another request with the same key, or the queue, is delivering it or will soon: the caller waits for that one.
  const underWay = () =>
    outcome === 'busy' ? after.status === 'sending' : outcome === 'putBack' && openStatuses.includes(after.status);
  while (underWay() && performance.now() < until) {
    await sleep(Math.min(lookMs, Math.max(1, until - performance.now())), signal);
    after = await getMessage(context, id, { signal });
  }
  return { record: after, ended: !openStatuses.includes(after.status) };
}

/** Longest time one delivery may take: 150 MB at 2 Mbit/s, within the functions' time-out. */
export const deliveryMs = 540_000;
