import { z } from 'zod';
import { accountNamed } from '../platform/ids.ts';
import { type GivenUp, type HandledGivenUp, handleEntry, nothingOfOurs } from '../platform/poison-queue.ts';
import { topic } from './deliveries/delivery-rows.ts';
import type { TopicContext } from './event-grid/context.ts';
import { deliverToTopic } from './event-grid/deliver.ts';
import type { WebhookContext } from './webhooks/context.ts';
import { deliverToWebhook } from './webhooks/deliver.ts';

/** A turn takes less; so long at most an invocation may go on. In ms. */
const turnMs = 120_000;

const schema = z.object({
  /** Deliveries to it may be due: an account's name, for its webhook, or the Event Grid topic. */
  target: z.string(),
});

/**
 * Does what an entry of queue `mail-webhooks` asks for. Throws for another form: the host then puts it on the poison
 * queue.
 */
export async function deliverFromQueue(
  { webhooks, topic: topicContext }: { readonly webhooks: WebhookContext; readonly topic: TopicContext },
  entry: unknown,
): Promise<void> {
  const { target } = schema.parse(entry);
  const options = { signal: AbortSignal.timeout(turnMs) };
  if (target === topic) await deliverToTopic(topicContext, options);
  else await deliverToWebhook(webhooks, target, options);
}

/**
 * What becomes of an entry of queue `mail-webhooks` that was given up: the timer that runs every minute finds what is
 * due by itself.
 */
export async function handleGivenUpEntry(given: GivenUp): Promise<HandledGivenUp> {
  return await handleEntry(schema, given, ({ target }) => {
    if (target === topic) return { result: 'repeated' };
    const account = accountNamed(target);
    return account === undefined ? nothingOfOurs : { result: 'repeated', account };
  });
}
