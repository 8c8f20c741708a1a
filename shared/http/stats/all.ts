import { dayStats } from '../../stats/stats.ts';
import type { Answer, Call } from '../call.ts';
import type { Stats } from './answers.ts';
import { daysAsked } from './query.ts';

/** `GET /stats`: the same of all accounts together, those included that were deleted since. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const days = daysAsked(request.query);
  const names = await services.accounts.everyName({ signal });
  const answer: Stats = { items: await dayStats(services.stats, names, { days, signal }) };
  return { jsonBody: answer };
}
