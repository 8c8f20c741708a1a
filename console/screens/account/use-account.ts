import type { Account } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import { type Resource, useResource } from '../../api/resource.ts';

export interface AccountVersion {
  readonly account: Account;
  readonly etag: string;
}

/** The account of a screen, with the version that a change is made from. */
export function useAccount(name: string): Resource<AccountVersion> {
  return useResource(`account ${name}`, async (signal) => {
    const answer = await outcome(api.GET('/accounts/{account}', { params: { path: { account: name } }, signal }));
    if (!answer.ok) return answer;
    return { ...answer, data: { account: answer.data, etag: answer.response.headers.get('etag') ?? '*' } };
  });
}
