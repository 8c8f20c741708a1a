import { mapConcurrently } from '../../platform/concurrency.ts';
import { newestFirst } from '../../platform/ids.ts';
import type { Answer, Call } from '../call.ts';
import { listAnswer, pageOf, parseList } from '../paging.ts';
import type { ListedAccount } from './answers.ts';
import { healthOf } from './health-of.ts';
import { accountFilters } from './query.ts';

/** Each account with its health takes a dozen readings: a page has so many at most, and so many are read at one time. */
const healthPage = 100;
const healthConcurrency = 8;

/** `GET /accounts`: newest first; with `health=true` each with what `/status` has, in pages of at most 100. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const { filters, page } = parseList(request.query, accountFilters);
  const withHealth = filters.health === 'true';
  const { top, after = '' } = page;
  const accounts = await services.accounts.list({ signal });
  const left = accounts
    .map((stored) => ({ stored, key: `${newestFirst(stored.createdAt)}:${stored.account.name}` }))
    .filter(({ key }) => key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const { items, next } = pageOf(left, withHealth ? Math.min(top, healthPage) : top, ({ key }) => key);
  const shown: readonly ListedAccount[] = withHealth
    ? await mapConcurrently(items, healthConcurrency, async ({ stored }) => ({
        ...stored.account,
        health: await healthOf(services, stored, { signal }),
      }))
    : items.map(({ stored }) => stored.account);
  return { jsonBody: listAnswer(shown, next) };
}
