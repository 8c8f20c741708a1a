import type { AccountView } from '../../accounts/account-view.ts';
import type { Answer, Call } from '../call.ts';

/** `GET /accounts/{account}`: the account as it is used, with its ETag. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const { account, etag } = await services.accounts.get(param('account'), { signal });
  const answer: AccountView = account;
  return { jsonBody: answer, headers: { ETag: etag } };
}
