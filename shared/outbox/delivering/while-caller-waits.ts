import { sleep } from '../../platform/clock.ts';
import type { OutboxContext } from '../context.ts';
import { getMessage } from '../messages.ts';
import { type Attempt, type MessageRecord, openStatuses, recordId } from '../record.ts';
import { deliveryMs } from '../timing.ts';
import { deliver } from './deliver.ts';

export interface WaitOptions {
  readonly signal: AbortSignal;
  /** The caller waits this long for the outcome; absent: not at all. */
  readonly waitMs?: number;
}

/** A message as its caller left it, after a wait or without one. */
export interface Waited {
  readonly record: MessageRecord;
  /** Nothing is left to do for it: sent, failed, uncertain, canceled. */
  readonly ended: boolean;
  /** The last attempt that was made while the caller waited. */
  readonly attempt?: Attempt;
}

/** How often a message that somebody else delivers is looked at. */
const lookMs = 100;

/**
 * Delivers a message while its caller waits, if it is due. When the time is over the delivery goes on by itself; should
 * this process end, the recovery timer finds the message.
 */
export async function whileCallerWaits(
  context: OutboxContext,
  record: MessageRecord,
  { waitMs, signal }: WaitOptions,
): Promise<Waited> {
  const due = (record.nextAttemptAt ?? 0) <= context.clock.now();
  if (waitMs === undefined || !openStatuses.includes(record.status) || !due) {
    return { record, ended: !openStatuses.includes(record.status) };
  }
  const id = recordId(record);
  // Not the request's signal: a caller who stops waiting does not stop the mail. What it throws is logged.
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
    outcome === 'claimed' ? after.status === 'sending' : outcome === 'requeued' && openStatuses.includes(after.status);
  while (underWay() && performance.now() < until) {
    await sleep(Math.min(lookMs, Math.max(1, until - performance.now())), signal);
    after = await getMessage(context, id, { signal });
  }
  const attempt = attemptMade(record, after);
  return { record: after, ended: !openStatuses.includes(after.status), ...(attempt ? { attempt } : {}) };
}

/** The last attempt of a record, unless it has none that it did not have before. */
function attemptMade(before: MessageRecord, after: MessageRecord): Attempt | undefined {
  const known = before.attempts.at(-1);
  const last = after.attempts.at(-1);
  // Not by their number: of many the newest are kept.
  const isNew = last?.at !== known?.at || last?.outcome !== known?.outcome;
  return isNew && last?.outcome !== 'resend' ? last : undefined;
}
