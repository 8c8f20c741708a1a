import { accountsWithMail } from '../../outbox/finding/searched-accounts.ts';
import { dayStats } from '../../stats/stats.ts';
import { factsOf } from '../accounts/account-facts.ts';
import type { Answer, Call } from '../call.ts';
import type { Services } from '../services.ts';
import type { Stats } from './answers.ts';
import { daysAsked } from './query.ts';

/** `GET /stats`: the same of all accounts together, those included that were deleted since. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const days = daysAsked(request.query);
  const { sending, importing } = await countedAccounts(services, { signal });
  const { dayCounts } = services.outbox;
  const accounts = (counts: typeof dayCounts) => (counts === dayCounts ? sending : importing);
  const answer: Stats = { items: await dayStats(services.stats, accounts, { days, signal }) };
  return { jsonBody: answer };
}

/** The accounts that anything can be counted of: those that were ever handed mail, and those that ever imported. */
async function countedAccounts({ accounts, outbox, summaries }: Services, options: { readonly signal: AbortSignal }) {
  const all = await accounts.everyOne(options);
  const fromStart = new Set(all.filter((each) => each.fromStart).map(({ name }) => name));
  const [withMail, known] = await Promise.all([
    accountsWithMail(outbox, all, options),
    summaries.known(all, new Set(all.map(({ name }) => name)), options),
  ]);
  return {
    // The epoch says that there is no mail now. That there was none before is known of accounts since when this is noted.
    sending: withMail
      .filter(({ name, handedUntil }) => handedUntil !== 0 || !fromStart.has(name))
      .map(({ name }) => name),
    importing: all.map(({ name }) => name).filter((name) => factsOf(known.of(name))?.inbox.hasTurn !== false),
  };
}
