import { addDelivery } from '../deliveries/delivery-rows.ts';
import { cloudEvent, type EventSink } from '../events.ts';
import type { WebhookContext } from './context.ts';
import { wants } from './webhook.ts';

/** Records events for the webhook of their account, where it wants them, and has them delivered soon. */
export function webhookSink(context: WebhookContext): EventSink {
  return {
    async publish(event, options = {}) {
      const { account, type, time } = event;
      const webhook = (await context.recentAccount(account, options))?.webhook;
      if (!webhook || !wants(webhook, type)) return;
      await addDelivery(context, account, cloudEvent(event), time);
      await context.wakeUps.request(account);
    },
  };
}
