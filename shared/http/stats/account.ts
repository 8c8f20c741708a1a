import { dayStats } from '../../stats/stats.ts';
import type { Answer, Call } from '../call.ts';
import type { Stats } from './answers.ts';
import { daysAsked } from './query.ts';

/** `GET /accounts/{account}/stats`: what came and went on each of the last days. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const days = daysAsked(request.query);
  const { account } = await services.accounts.get(param('account'), { signal });
  const answer: Stats = { items: await dayStats(services.stats, [account.name], { days, signal }) };
  return { jsonBody: answer };
}
