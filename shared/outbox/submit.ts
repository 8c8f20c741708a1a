import type { Account } from '../accounts/rules.ts';
import { type BodySource, mediaType, readBody } from '../http/body.ts';
import { parseJson, requireJson } from '../http/json-body.ts';
import { HttpProblem } from '../http/problem.ts';
import { sleep } from '../platform/clock.ts';
import { accept, findByKey, type PreparedMail } from './accept.ts';
import { composeMail } from './compose.ts';
import type { OutboxContext } from './context.ts';
import { deliver } from './deliver.ts';
import { type Idempotency, parseIdempotencyKey, requestHasher } from './idempotency.ts';
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
  const raw = mediaType(request).type === rawType;
  const record = raw
    ? await takeRaw(context, account, request, key, options)
    : await takeJson(context, account, request, key, options);
  const due = (record.nextAttemptAt ?? 0) <= context.clock.now();
  if (options.waitMs !== undefined && openStatuses.includes(record.status) && due) {
    return await deliverNow(context, record, options.waitMs, options.signal);
  }
  return { record, ended: !openStatuses.includes(record.status) };
}

function hasherOf(request: SubmitRequest) {
  const query = new URLSearchParams(request.query.toString());
  // The caller's function key is no part of the request: after a rotation it is still the same one.
  query.delete('code');
  return requestHasher(request.headers.get('content-type') ?? '', query.toString());
}

async function takeJson(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  key: string | undefined,
  { signal, waitMs }: SubmitOptions,
): Promise<MessageRecord> {
  requireJson(request, rawType);
  const body = await readBody(request, { maxBytes: maxRequestBytes, signal });
  let idempotency: Idempotency | undefined;
  if (key !== undefined) {
    const hasher = hasherOf(request);
    hasher.update(body);
    idempotency = { key, requestHash: hasher.digest() };
    const known = await findByKey(context, account.name, idempotency, { signal });
    if (known) {
      return known;
    }
  }
  const now = context.clock.now();
  const parsed = parseSendRequest(parseJson(body), account, { now });
  const { open, ...mail } = composeMail(parsed, { messageId: newMessageId(parsed.from.address), date: new Date(now) });
  const prepared: PreparedMail = { ...mail, content: open() };
  return await accept(context, account, prepared, {
    signal,
    deliverHere: waitMs !== undefined,
    idempotency: () => idempotency,
  });
}

async function takeRaw(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  key: string | undefined,
  { signal, waitMs }: SubmitOptions,
): Promise<MessageRecord> {
  if (!request.body) {
    throw new HttpProblem(400, 'The body is empty; a mail is expected.');
  }
  // Before it is uploaded; a body that declares no length is counted as it passes.
  if (Number(request.headers.get('content-length') ?? 0) > maxRawBytes) {
    throw new HttpProblem(413, `A mail is at most ${maxRawBytes} bytes.`);
  }
  const hasher = hasherOf(request);
  const bytes = bytesOf(request.body, (chunk) => key !== undefined && hasher.update(chunk));
  const { content, ...mail } = await freezeRaw(bytes, account, { now: context.clock.now() });
  return await accept(
    context,
    account,
    { ...mail, content },
    {
      signal,
      deliverHere: waitMs !== undefined,
      // The whole body has passed when this is asked for.
      idempotency: () => (key === undefined ? undefined : { key, requestHash: hasher.digest() }),
    },
  );
}

async function* bytesOf(body: AsyncIterable<unknown>, pass: (chunk: Uint8Array) => void): AsyncGenerator<Uint8Array> {
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
