import { requireSending } from '../../outbox/composing/send-as.ts';
import { requestRelease } from '../../outbox/delivering/release.ts';
import type { Answer, Call } from '../call.ts';
import type { RetriedAccount } from './answers.ts';

/** `POST /accounts/{account}/retry`: all mail of the account that waits is due now. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const { account } = await services.accounts.get(param('account'), { signal });
  requireSending(account);
  await requestRelease(services.outbox, account.name, 'asked');
  const answer: RetriedAccount = { account: account.name };
  return {
    status: 202,
    headers: { Location: `/api/messages?account=${account.name}&status=queued` },
    jsonBody: answer,
  };
}
