import type { QueueClient } from '@azure/storage-queue';
import { cloudEvent, type EventSink } from './events.ts';

/** Puts events on the queue that the customer reads; base64, as Functions queue triggers expect; they never expire. */
export function queueSink(queue: () => Promise<QueueClient>): EventSink {
  return {
    async publish(event, options = {}) {
      const text = Buffer.from(JSON.stringify(cloudEvent(event))).toString('base64');
      await (await queue()).sendMessage(text, {
        messageTimeToLive: -1,
        ...(options.signal ? { abortSignal: options.signal } : {}),
      });
    },
  };
}
