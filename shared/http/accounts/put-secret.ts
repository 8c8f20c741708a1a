import { putSecret } from '../../accounts/put-secret.ts';
import { requestRelease } from '../../outbox/delivering/release.ts';
import type { Answer, Call } from '../call.ts';
import { readJsonBody } from '../json-body.ts';

/** `PUT /accounts/{account}/secrets/{name}`: into Key Vault; mail that waited for it is due now. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const account = param('account');
  const input = await readJsonBody(request);
  const receipt = await putSecret(services, { account, name: param('name') }, input, { signal });
  const stored = await services.accounts.find(account, { signal });
  if (stored) await requestRelease(services.outbox, stored.account.name, 'changed');
  return { jsonBody: receipt };
}
