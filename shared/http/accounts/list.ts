import { mapConcurrently } from '../../platform/concurrency.ts';
import { newestFirst } from '../../platform/ids.ts';
import type { Answer, Call } from '../call.ts';
import { listAnswer, pageOf, parseList } from '../paging.ts';
import type { ListedAccount } from './answers.ts';
import { healthOf, keepSummaries, readTogether } from './health-of.ts';
import { accountFilters } from './query.ts';

/** Accounts whose health is read at one time; each takes some readings. */
const healthConcurrency = 32;

/** `GET /accounts`: newest first; with `health=true` each with what `/status` has. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const { filters, page } = parseList(request.query, accountFilters);
  const withHealth = filters.health === 'true';
  const { top, after = '' } = page;
  const accounts = await services.accounts.list({ signal });
  const left = accounts
    .map((stored) => ({ stored, key: `${newestFirst(stored.createdAt)}:${stored.account.name}` }))
    .filter(({ key }) => key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const { items, next } = pageOf(left, top, ({ key }) => key);
  const names = items.map(({ stored }) => stored.account.name);
  const together = withHealth ? await readTogether(services, accounts, names, { signal }) : undefined;
  const shown: readonly ListedAccount[] = together
    ? await mapConcurrently(items, healthConcurrency, async ({ stored }) => ({
        ...stored.account,
        health: await healthOf(services, stored, { signal, together }),
      }))
    : items.map(({ stored }) => stored.account);
  if (together) await keepSummaries(services, together);
  return { jsonBody: listAnswer(shown, next) };
}
