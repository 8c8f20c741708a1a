import { z } from 'zod';
import { retryAfterMs } from '../net/retry-after.ts';
import type { Scrub } from '../redaction.ts';
import { CollectedOctets } from './collected-octets.ts';
import { GraphError, plainWords } from './graph-error.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { isWithinLimits } from './json-shape.ts';

/** A page of 1,000 messages with small $select is a megabyte; a created draft is answered with its body. */
const maxJsonBytes = 24 << 20;
const maxErrorBytes = 64 << 10;

const errorSchema = z.object({
  error: z.object({
    code: z.string().max(200),
    message: z.string().nullish(),
    innerError: z.object({ 'request-id': z.unknown() }).nullish(),
  }),
});

/** Reads the body to its end, or throws GraphError `nonsense` when it is larger than `max`. */
async function readBytes(answer: HttpAnswer, max: number): Promise<Buffer> {
  const collected = new CollectedOctets();
  for await (const chunk of answer.body()) {
    collected.add(chunk);
    if (collected.length > max) {
      throw new GraphError('nonsense', `an answer of more than ${max} bytes`, { code: 'ANSWER_SIZE' });
    }
  }
  return collected.bytes();
}

/** Reads a JSON answer. Throws GraphError `nonsense` where it is not JSON, or not what the schema says. */
export async function readJson<T>(answer: HttpAnswer, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBytes(answer, maxJsonBytes);
  const details = { code: 'ANSWER_FORM', status: answer.status, requestId: requestIdOf(answer) };
  if (!isWithinLimits(bytes))
    throw new GraphError('nonsense', 'an answer of too many parts', { ...details, code: 'ANSWER_SIZE' });
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    const what = bytes.length === 0 ? 'an empty answer' : 'an answer that is no JSON';
    throw new GraphError('nonsense', `${what} where JSON was due`, details);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new GraphError('nonsense', `an answer that lacks what was asked for (${where.slice(0, 60)})`, details);
}

/** Lets an answer go whose body does not matter, so that its connection can be used again. */
export async function discard(answer: HttpAnswer): Promise<void> {
  try {
    await readBytes(answer, maxErrorBytes);
  } catch {
    // What it was for is known from its status.
    answer.cancel();
  }
}

/** What Graph calls the request; undefined where it is no GUID, and so may be anything. */
export function requestIdOf(answer: HttpAnswer, inBody?: unknown): string | undefined {
  return [answer.header('request-id'), inBody].find(
    (id): id is string => typeof id === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id),
  );
}

/**
 * The error of an answer of 300 or above. Bodies that are HTML, empty or cut are no obstacle. `scrub` takes the token out
 * of what it says: its words, and its code.
 */
export async function answerError(answer: HttpAnswer, now: number, scrub: Scrub = (text) => text): Promise<GraphError> {
  const { status } = answer;
  let text: Buffer = Buffer.alloc(0);
  try {
    text = await readBytes(answer, maxErrorBytes);
  } catch {
    answer.cancel();
  }
  const retry = retryAfterMs(answer.header('retry-after'), now);
  const parsed = errorSchema.safeParse(jsonOf(text));
  const body = parsed.success ? parsed.data.error : undefined;
  const clean = body !== undefined && /^[A-Za-z][\w.-]{0,79}$/.test(body.code) && scrub(body.code) === body.code;
  const code = clean ? body.code : `HTTP${status}`;
  return new GraphError('answer', `Graph answered ${status} ${code}`, {
    code,
    status,
    retryAfterMs: retry,
    requestId: requestIdOf(answer, body?.innerError?.['request-id']),
    words: plainWords(scrub(body?.message ?? '')),
  });
}

function jsonOf(text: Buffer): unknown {
  try {
    return isWithinLimits(text) ? JSON.parse(text.toString('utf8')) : undefined;
  } catch {
    return undefined;
  }
}
