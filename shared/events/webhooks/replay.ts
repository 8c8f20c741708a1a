import { z } from 'zod';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { log } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { parseInput } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import { givenUpDeliveries, requeueGivenUp } from '../deliveries/delivery-rows.ts';
import { readState } from '../deliveries/target-state.ts';
import type { WebhookAccount, WebhookContext } from './context.ts';
import { requireWebhook } from './test-event.ts';

/** Events brought back at a time, and in one call; whoever has more calls again. */
const batch = 500;
const maxReplayed = 10_000;
const concurrency = 50;

/** Body of `POST /accounts/{account}/webhook/replay`. */
export const replaySchema = z.strictObject({
  since: z.iso
    .datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' })
    .meta({ description: 'Events that happened at this instant or later.' }),
});

/** What came of a replay. */
export const replayedSchema = z.object({
  replayed: z.int(),
  more: z.boolean().meta({ description: 'There were more than one call takes.' }),
});
export type Replayed = View<typeof replayedSchema>;

/**
 * Sends the events of an account again that were given up and happened at `since` or later, each under its own id.
 * Throws Refusal `invalid`, and `conflict` where there is no webhook or it has stopped.
 */
export async function replay(
  context: WebhookContext,
  name: string,
  { account, input }: { readonly account: WebhookAccount; readonly input: unknown },
  options: { readonly signal: AbortSignal },
): Promise<Replayed> {
  const since = Date.parse(parseInput(replaySchema, input).since);
  requireWebhook(account);
  const { state } = await readState(context, name, account.version, options);
  if (state.stoppedAt > 0) {
    throw new Refusal('conflict', 'The receiver wants no more events (410). Save the account again first.');
  }
  let replayed = 0;
  let more = true;
  while (more && replayed < maxReplayed) {
    // What was given up before then happened before then.
    const found = await givenUpDeliveries(context, name, { ...options, since, eventSince: since, top: batch });
    await mapConcurrently(found, concurrency, (delivery) => requeueGivenUp(context, name, delivery));
    replayed += found.length;
    more = found.length === batch;
  }
  if (replayed > 0) {
    log.info('webhook.replayed', { account: name, events: replayed });
    await context.wakeUps.request(name);
  }
  return { replayed, more };
}
