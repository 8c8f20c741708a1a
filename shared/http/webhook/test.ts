import { sendTest } from '../../events/webhooks/test-event.ts';
import type { Answer, Call } from '../call.ts';

/** `POST /accounts/{account}/webhook/test`: sends `mailroom.webhook.test` now and answers what came back. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const { account, etag } = await services.accounts.get(param('account'), { signal });
  const { name, webhook } = account;
  return { jsonBody: await sendTest(services.webhooks, name, { webhook, version: etag }, { signal }) };
}
