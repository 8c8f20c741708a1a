import { addDelivery, topic } from '../deliveries/delivery-rows.ts';
import { cloudEvent, type EventSink } from '../events.ts';
import type { TopicContext } from './context.ts';

/** Records events for the Event Grid topic and has them delivered soon: nobody waits for the topic. */
export function topicSink(context: TopicContext): EventSink {
  return {
    async publish(event) {
      await addDelivery(context, topic, cloudEvent(event), event.time);
      await context.wakeUps.request(topic);
    },
  };
}
