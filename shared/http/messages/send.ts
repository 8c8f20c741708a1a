import { submit } from '../../outbox/accepting/submit.ts';
import type { Answer, Call } from '../call.ts';
import { readSendRequest } from './send-request.ts';
import { waitedAnswer, waitOptions } from './waited-answer.ts';

/** The account that sends where the path names none. */
const defaultAccount = 'corpus';

/** `POST /messages` and `POST /accounts/{account}/messages`: a mail is taken over, and delivered while the caller waits. */
export async function handle(call: Call): Promise<Answer> {
  const { request, param, services, signal } = call;
  const options = waitOptions(call);
  const { account } = await services.accounts.get(param('account') || defaultAccount, { signal, recent: true });
  return waitedAnswer(await submit(services.outbox, account, readSendRequest(request), options), options);
}
