import { webhookView } from '../../events/webhooks/view.ts';
import type { Answer, Call } from '../call.ts';

/** `GET /accounts/{account}/webhook`: how deliveries go. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const { account, etag } = await services.accounts.get(param('account'), { signal });
  const { name, webhook } = account;
  return { jsonBody: await webhookView(services.webhooks, name, { webhook, version: etag }, { signal }) };
}
