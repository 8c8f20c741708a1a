import { replay } from '../../events/webhooks/replay.ts';
import type { Answer, Call } from '../call.ts';
import { readJsonBody } from '../json-body.ts';

/** `POST /accounts/{account}/webhook/replay`: 202 with how many of the events that were given up are sent again. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const { account, etag } = await services.accounts.get(param('account'), { signal });
  const { name, webhook } = account;
  const input = await readJsonBody(request);
  const replayed = await replay(services.webhooks, name, { account: { webhook, version: etag }, input }, { signal });
  return { status: 202, headers: { Location: `/api/accounts/${name}/webhook` }, jsonBody: replayed };
}
