import type { Answer, Call } from '../call.ts';
import type { StatusAnswer } from './answers.ts';
import { healthOf } from './health-of.ts';

/** `GET /accounts/{account}/status`: how the account's store, transport and webhook are doing. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const stored = await services.accounts.get(param('account'), { signal });
  const answer: StatusAnswer = await healthOf(services, stored, { signal });
  return { jsonBody: answer };
}
