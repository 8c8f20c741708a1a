import { toIso } from '../../platform/clock.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { log } from '../../platform/log.ts';
import {
  givenUpDeliveries,
  giveUp,
  nextDue,
  removeDelivery,
  topic,
  waitingSince,
} from '../deliveries/delivery-rows.ts';
import { readState } from '../deliveries/target-state.ts';
import type { TopicContext } from './context.ts';

/** How long events wait for the topic, and are kept when it did not take them. In ms. */
const keepMs = 30 * 86_400_000;

/** Rows looked at in one run of the timer; the next one brings the rest. */
const batch = 2_000;
const concurrency = 50;

interface Options {
  readonly signal: AbortSignal;
}

/** Starts publishing to the topic where events wait for it: nothing depends on a queue message surviving. */
export async function recoverTopic(context: TopicContext, options: Options): Promise<void> {
  if (!context.client) return;
  const next = await nextDue(context, topic, options);
  if (next !== undefined && next <= context.clock.now()) await context.wakeUps.request(topic);
}

/** Logs again that the topic fails, gives up events that have waited for 30 days, and removes those given up 30 days ago. */
export async function cleanUpTopic(context: TopicContext, options: Options): Promise<void> {
  const { state } = await readState(context, topic, '', options);
  if (context.client && state.failing > 0) {
    log.error('events.topicStillFailing', { since: toIso(state.failingSince) });
  }
  const before = context.clock.now() - keepMs;
  const waiting = await waitingSince(context, topic, { ...options, before, top: batch });
  await mapConcurrently(waiting, concurrency, (delivery) => giveUp(context, topic, delivery));
  if (waiting.length > 0) log.error('events.topicGivenUp', { events: waiting.length });
  const old = await givenUpDeliveries(context, topic, { ...options, before, top: batch });
  await mapConcurrently(old, concurrency, (delivery) => removeDelivery(context, topic, delivery));
}
