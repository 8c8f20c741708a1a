import { z } from 'zod';
import { retryAfterMs } from '../retry-after.ts';
import { GraphError, plainWords } from './graph-error.ts';
import type { WireAnswer } from './wire.ts';

/** A page of 1,000 messages with small $select is a megabyte; a created draft is answered with its body. */
const maxJsonBytes = 24 << 20;
const maxErrorBytes = 64 << 10;

const errorSchema = z.object({
  error: z.object({
    code: z.string().max(200),
    message: z.string().nullish(),
    innerError: z.object({ 'request-id': z.string().max(100).nullish() }).nullish(),
  }),
});

/** Reads the body to its end, or throws GraphError `nonsense` when it is larger than `max`. */
export async function readBytes(answer: WireAnswer, max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body()) {
    size += chunk.length;
    if (size > max) throw new GraphError('nonsense', `an answer of more than ${max} bytes`, { code: 'ANSWER_SIZE' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads a JSON answer. Throws GraphError `nonsense` where it is none, or not what the schema says. */
export async function readJson<T>(answer: WireAnswer, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBytes(answer, maxJsonBytes);
  const details = { code: 'ANSWER_FORM', status: answer.status, requestId: requestIdOf(answer) };
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
export async function discard(answer: WireAnswer): Promise<void> {
  try {
    await readBytes(answer, maxErrorBytes);
  } catch {
    // What it was for is known from its status.
    answer.cancel();
  }
}

function requestIdOf(answer: WireAnswer): string | undefined {
  const id = answer.header('request-id');
  return id !== undefined && /^[\w-]{1,100}$/.test(id) ? id : undefined;
}

/** The error of an answer of 300 or above. Bodies that are HTML, empty or cut are no obstacle. */
export async function answerError(answer: WireAnswer, now: number): Promise<GraphError> {
  const { status } = answer;
  let text = '';
  try {
    text = (await readBytes(answer, maxErrorBytes)).toString('utf8');
  } catch {
    answer.cancel();
  }
  const retry = retryAfterMs(answer.header('retry-after'), now);
  const parsed = errorSchema.safeParse(jsonOf(text));
  const told = parsed.success ? parsed.data.error : undefined;
  const code = told && /^[\w.-]{1,100}$/.test(told.code) ? told.code : `HTTP${status}`;
  const words = plainWords(told?.message ?? '');
  return new GraphError('answer', `Graph answered ${status} ${code}${words === '' ? '' : `: ${words}`}`, {
    code,
    status,
    retryAfterMs: retry,
    requestId: requestIdOf(answer) ?? told?.innerError?.['request-id'] ?? undefined,
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
