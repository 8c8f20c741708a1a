import type { InvocationContext } from '@azure/functions';
import { deliverFromQueue } from '../../shared/events/queue-entry.ts';
import { importFromQueue } from '../../shared/inbox/queue-entry.ts';
import { runQueueEntry } from '../../shared/outbox/queue-entry.ts';
import { runJob, type Timers } from './job.ts';

/** One entry of queue `mail-send`. */
export async function mailSend(entry: unknown, context: InvocationContext, timers: Timers): Promise<void> {
  const again = context.triggerMetadata?.dequeueCount !== 1;
  await runJob(context, timers, ({ outbox }) => runQueueEntry(outbox, entry, { again }));
}

/** One entry of queue `mail-import`. */
export async function mailImport(entry: unknown, context: InvocationContext, timers: Timers): Promise<void> {
  await runJob(context, timers, (services) => importFromQueue(services, entry));
}

/** One entry of queue `mail-webhooks`. */
export async function mailWebhooks(entry: unknown, context: InvocationContext, timers: Timers): Promise<void> {
  await runJob(context, timers, ({ webhooks, topic }) => deliverFromQueue({ webhooks, topic }, entry));
}
