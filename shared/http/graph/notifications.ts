import { hearNotifications } from '../../inbox/push/hear.ts';
import { sleep } from '../../platform/clock.ts';
import { errorText, log } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { readBody } from '../body.ts';
import type { Answer, OpenCall } from '../call.ts';
import { parseJson } from '../json-body.ts';
import { HttpProblem } from '../problem.ts';
import { validationQuery } from './query.ts';

/** Graph counts an answer that takes 3 s as none ("Receive change notifications through webhooks"). In ms. */
const answerMs = 2_500;

/** Graph sends some tens of notifications at a time, of a kilobyte each. */
const maxBytes = 1024 * 1024;
const bounds = { maxValues: 50_000 };

/**
 * `POST /graph/notifications`, which everybody may call: 202 whatever it holds. Only notifications that Graph has sent have
 * an effect (see `hearNotifications`). Where such a one could not be kept, 503: Graph sends it again, for four hours. With
 * `validationToken` the token, as Graph wants it: plain, so that no browser makes anything else of it.
 */
export async function handle({ request, services, signal }: OpenCall): Promise<Answer> {
  const { query } = request;
  const given = query.get('validationToken');
  if (given !== null) return validation(given);
  const { push, shutdown } = await services();
  const late = new AbortController();
  const time = sleep(answerMs, late.signal).then(() => 'late' as const);
  time.catch(() => undefined);
  try {
    const body = await Promise.race([readJson(request), time]);
    if (body === 'late' || body === undefined) return accepted;
    const hearing = shutdown.track(hearNotifications(push, body.value, { signal }));
    // Whoever is told that it took too long does not hear how it ends.
    hearing.catch((error: unknown) => log.warn('push.notHeard', { error: errorText(error) }));
    const heard = await Promise.race([hearing.then(() => 'heard' as const), time]);
    if (heard === 'late') throw unkept();
    return accepted;
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'unavailable') throw error;
    throw unkept(error);
  } finally {
    late.abort();
  }
}

const accepted: Answer = { status: 202 };

function validation(token: string): Answer {
  const parsed = validationQuery.shape.validationToken.safeParse(token);
  if (!parsed.success) throw new HttpProblem(400, 'The validation token is too long.');
  return {
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "default-src 'none'; sandbox",
      'Cache-Control': 'no-store',
    },
    body: token,
  };
}

/** Undefined where the body is no JSON within the limits, which Graph's is. */
async function readJson(request: OpenCall['request']): Promise<{ readonly value: unknown } | undefined> {
  try {
    return { value: parseJson(await readBody(request, { maxBytes }), bounds) };
  } catch (error) {
    if (error instanceof HttpProblem || error instanceof Refusal) return undefined;
    throw error;
  }
}

function unkept(cause?: unknown): Refusal {
  return new Refusal('unavailable', 'The notifications could not be kept; they may be sent again.', { cause });
}
