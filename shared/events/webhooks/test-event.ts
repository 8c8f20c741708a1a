import { z } from 'zod';
import { toIso } from '../../platform/clock.ts';
import { Refusal } from '../../platform/refusal.ts';
import type { View } from '../../platform/view.ts';
import { cloudEvent } from '../events.ts';
import { attempt, signingSecrets } from './attempt.ts';
import type { WebhookAccount, WebhookContext } from './context.ts';
import { hintOf } from './hints.ts';
import type { Webhook } from './webhook.ts';

/** What came of a test. */
export const testResultSchema = z.object({
  id: z.string().meta({ description: 'Of the event that was sent.' }),
  delivered: z.boolean(),
  status: z.int().optional().meta({ description: 'Of the answer; absent where there was none.' }),
  code: z.string().optional(),
  hint: z.string().optional(),
  ms: z.number(),
});
export type TestResult = View<typeof testResultSchema>;

/** The webhook of an account. Throws Refusal where it has none. */
export function requireWebhook({ webhook }: WebhookAccount): Webhook {
  if (!webhook) throw new Refusal('conflict', 'The account has no webhook.');
  return webhook;
}

/**
 * Sends `mailroom.webhook.test` to an account's webhook once and answers what came back. It is not tried again, and is sent
 * also where the account names other events, or the webhook has stopped. Throws Refusal where there is no webhook.
 */
export async function sendTest(
  context: WebhookContext,
  name: string,
  account: WebhookAccount,
  { signal }: { readonly signal: AbortSignal },
): Promise<TestResult> {
  const webhook = requireWebhook(account);
  const time = context.clock.now();
  const event = cloudEvent({
    type: 'mailroom.webhook.test',
    account: name,
    subject: name,
    occasion: toIso(time),
    time,
    data: {},
  });
  const secrets = await signingSecrets(context, name, webhook, signal);
  const { delivered, status, code, ms } = await attempt(context, { webhook, secrets, signal }, event);
  const hint = delivered ? undefined : hintOf({ status, code });
  return {
    id: event.id,
    delivered,
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
    ms,
  };
}
