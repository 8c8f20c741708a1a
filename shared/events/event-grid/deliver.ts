import { isAcquired } from '../../platform/acquired.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { errorText, log } from '../../platform/log.ts';
import { type Delivery, dueDeliveries, giveUp, nextDue, removeDelivery, topic } from '../deliveries/delivery-rows.ts';
import {
  acquireTarget,
  finishTarget,
  isSuspended,
  readState,
  type StoredState,
  type TargetState,
} from '../deliveries/target-state.ts';
import type { TopicContext } from './context.ts';
import { type TopicClient, TopicRefusal } from './topic-client.ts';

/** Events published at a time, and their characters: a request has at most 1 MB (Microsoft Learn, "Event Grid quotas and limits"). */
const page = 100;
const maxCharacters = 300_000;

/** Removals under way at one time share their transactions. */
const removeConcurrency = page;

/** The topic has so long to answer, in ms. */
const answerMs = 30_000;

/** Publishing goes on for so long; then a new invocation does. In ms. */
const turnMs = 60_000;

/** After a failure nothing is sent for as long as the topic has been failing, within these limits. In ms. */
const shortestPauseMs = 5_000;
const longestPauseMs = 5 * 60_000;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Publishes for a while what waits for the topic; a queue message brings the rest. Calling it at any time is harmless.
 */
export async function deliverToTopic(context: TopicContext, options: Options): Promise<void> {
  await context.shutdown.track(deliverDue(context, options));
}

async function deliverDue(context: TopicContext, { signal }: Options): Promise<void> {
  const { client, clock, shutdown } = context;
  if (!client) return;
  if (shutdown.stopping.aborted) return await context.wakeUps.request(topic);
  const stored = await readState(context, topic, '', { signal });
  let { state } = stored;
  if (!isSuspended(state, clock.now())) {
    const after = await takeTurn(context, client, stored, signal);
    if (!after) return;
    state = after;
  }
  const { wakeUps } = context;
  if (isSuspended(state, clock.now())) {
    // Not looked at for every event meanwhile.
    wakeUps.pause(topic, state.pauseUntil);
    await wakeUps.request(topic, state.pauseUntil);
    return;
  }
  wakeUps.resume(topic);
  const next = await nextDue(context, topic, { signal });
  if (next !== undefined) await wakeUps.request(topic, next);
}

/** Undefined: another process delivers to the topic, or has taken over from this one. */
async function takeTurn(
  context: TopicContext,
  client: TopicClient,
  stored: StoredState,
  signal: AbortSignal,
): Promise<TargetState | undefined> {
  const lease = await acquireTarget(context, topic, stored);
  if (!isAcquired(lease)) return undefined;
  const began = performance.now();
  let { state } = stored;
  try {
    const own = AbortSignal.any([signal, lease.lost]);
    while (performance.now() - began < turnMs && !context.shutdown.stopping.aborted) {
      const due = fitting(await dueDeliveries(context, topic, { signal: own, top: page }));
      if (due.length === 0) break;
      const after = await publish(context, client, due, { state, signal: own });
      state = after ?? worked(state, context.clock.now());
      if (after) break;
    }
    await finishTarget(context, lease, state);
    return state;
  } catch (error) {
    lease.abandon();
    if (!lease.lost.aborted) throw error;
    return undefined;
  }
}

/** As many of the deliveries, from the first on, as fit one request; one always does. */
function fitting(due: readonly Delivery[]): readonly Delivery[] {
  let characters = 0;
  const end = due.findIndex(({ event }, index) => {
    characters += JSON.stringify(event).length;
    return index > 0 && characters > maxCharacters;
  });
  return end === -1 ? due : due.slice(0, end);
}

/** Publishes some events; where the topic takes none of them now, answers its state. */
async function publish(
  context: TopicContext,
  client: TopicClient,
  due: readonly Delivery[],
  { state, signal }: Options & { readonly state: TargetState },
): Promise<TargetState | undefined> {
  try {
    await client.send(
      due.map(({ event }) => event),
      AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    );
    await mapConcurrently(due, removeConcurrency, (delivery) => removeDelivery(context, topic, delivery));
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const status = error instanceof TopicRefusal ? error.status : undefined;
    if (status === 400 || status === 413) return await publishEach(context, client, due, { state, signal });
    return failed(state, context.clock.now(), error);
  }
}

/** One event that the topic does not take must not stop the others: it alone is left out, and the log says so. */
async function publishEach(
  context: TopicContext,
  client: TopicClient,
  due: readonly Delivery[],
  options: Options & { readonly state: TargetState },
): Promise<TargetState | undefined> {
  const [only, ...others] = due;
  if (only && others.length === 0) {
    log.error('events.topicRefusedEvent', { id: only.event.id });
    await giveUp(context, topic, only);
    return undefined;
  }
  for (const delivery of due) {
    const after = await publish(context, client, [delivery], options);
    if (after) return after;
  }
  return undefined;
}

function worked(state: TargetState, now: number): TargetState {
  if (state.failing > 0) log.info('events.topicWorks', { seconds: Math.round((now - state.failingSince) / 1000) });
  return { ...state, failing: 0, failingSince: 0, lastSuccessAt: now };
}

function failed(state: TargetState, now: number, error: unknown): TargetState {
  const since = state.failing === 0 ? now : state.failingSince;
  // One line for each spell of trouble; what lasts is logged again every hour (housekeeping.ts).
  if (state.failing === 0) logTrouble(error);
  const pauseMs = Math.min(Math.max(now - since, shortestPauseMs), longestPauseMs);
  return { ...state, failing: state.failing + 1, failingSince: since, pauseUntil: now + pauseMs };
}

function logTrouble(error: unknown): void {
  if (!(error instanceof TopicRefusal)) {
    log.error('events.topicFailing', { error: errorText(error), hint: hintOf(undefined) });
    return;
  }
  const { status, code } = error;
  log.error('events.topicFailing', { status, code, hint: hintOf(status) });
}

function hintOf(status: number | undefined): string {
  if (status === 401 || status === 403)
    return "The app's identity may not send to the topic: give it the role EventGrid Data Sender on it. A new role takes some minutes.";
  if (status === 404)
    return 'There is no such topic: compare EVENT_GRID_TOPIC_ENDPOINT with the endpoint of the topic.';
  if (status === undefined)
    return 'The topic could not be reached: compare EVENT_GRID_TOPIC_ENDPOINT, and look at the network.';
  return 'Events wait and are sent again.';
}
