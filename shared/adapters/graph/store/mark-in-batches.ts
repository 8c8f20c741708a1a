import { z } from 'zod';
import { LruMap } from '../../../platform/lru-map.ts';
import { retryAfterMs } from '../../net/retry-after.ts';
import { graphUrl } from '../addresses.ts';
import { GraphError } from '../graph-error.ts';
import { type MailboxContext, messageUrl } from '../mailbox.ts';
import { noteMark } from './own-marks.ts';

/** Requests of one batch (Microsoft Learn, "Combine multiple HTTP requests using JSON batching"). */
const maxRequests = 20;

/** Times that one call waits for Retry-After; then mails are asked for alone. */
const maxPauses = 3;

const batchSchema = z.object({
  responses: z
    .array(z.object({ id: z.string(), status: z.number(), headers: z.record(z.string(), z.unknown()).nullish() }))
    .max(maxRequests),
});

type Response = z.output<typeof batchSchema>['responses'][number];

/** Places that have no `$batch`, as this process was told. */
const withoutBatch = new LruMap<string, true>({ max: 20 });

/**
 * Marks mails as read, twenty by one request, and answers the ids of those of which Graph says that it is done. All others
 * are the caller's to ask for alone: their trouble shows then. The requests of a batch are done one after the other
 * (`dependsOn`), so that a batch takes one of the four places that Outlook gives a mailbox. Throws GraphError for what
 * concerns all: no connection, no token, throttling.
 */
export async function markInBatches(
  context: MailboxContext,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const { client, identity } = context;
  const marked = new Set<string>();
  const waiting = [...new Set(ids)];
  for (let pauses = 0; waiting.length > 1 && !withoutBatch.has(client.place.base); ) {
    const some = waiting.splice(0, maxRequests);
    const responses = await send(context, some, signal);
    if (!responses) break;
    const statusOf = (at: number) => responses.get(String(at))?.status ?? 0;
    for (const [at, id] of some.entries()) {
      if (statusOf(at) < 200 || statusOf(at) >= 300) continue;
      marked.add(id);
      noteMark(identity, id);
    }
    // What comes behind a failure was not begun.
    const notBegun = some.filter((_, at) => statusOf(at) === 424);
    const at = some.findIndex((_, index) => statusOf(index) === 429);
    const [throttled] = some.slice(at, at + 1);
    if (at >= 0 && throttled !== undefined) {
      if (pauses >= maxPauses) break;
      pauses += 1;
      await client.pause(throttling(responses.get(String(at))), signal);
      waiting.unshift(throttled);
    }
    // A place that begins none of them would be asked for ever.
    if (notBegun.length === some.length) break;
    waiting.push(...notBegun);
  }
  return marked;
}

/** The responses by their ids; undefined where the batch as a whole came to nothing. */
async function send(
  context: MailboxContext,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Response> | undefined> {
  const { place } = context.client;
  const requests = ids.map((id, at) => ({
    id: String(at),
    method: 'PATCH',
    url: messageUrl(context, id).href.slice(place.base.length),
    headers: { 'Content-Type': 'application/json', Prefer: 'IdType="ImmutableId"' },
    body: { isRead: true },
    ...(at === 0 ? {} : { dependsOn: [String(at - 1)] }),
  }));
  try {
    const request = { method: 'POST', url: graphUrl(place, '$batch'), body: { requests }, signal } as const;
    const { responses } = await context.client.json(request, batchSchema);
    return new Map(responses.map((response) => [response.id, response]));
  } catch (error) {
    if (!(error instanceof GraphError) || (error.origin !== 'answer' && error.origin !== 'nonsense')) throw error;
    if (error.status === 429) throw error;
    if (error.status === 404 || error.status === 405 || error.status === 501) withoutBatch.set(place.base, true);
    return undefined;
  }
}

function throttling(response: Response | undefined): GraphError {
  const named = Object.entries(response?.headers ?? {}).find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  const wait = retryAfterMs(
    typeof named === 'string' || typeof named === 'number' ? String(named) : undefined,
    Date.now(),
  );
  return new GraphError('answer', 'Graph answered 429 in a batch', {
    code: 'TooManyRequests',
    status: 429,
    retryAfterMs: wait,
  });
}
