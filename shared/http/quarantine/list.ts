import { z } from 'zod';
import { accountNameSchema } from '../../accounts/model.ts';
import type { Answer, Call } from '../call.ts';
import { listAnswer, pageOf, parseList } from '../paging.ts';

/** Which quarantined mail is listed. */
export const quarantineFilters = z.object({ account: accountNameSchema.optional() });

/** `GET /quarantine`: mail that could not be checked in, of one account or of all there are or were, newest first. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const { filters, page } = parseList(request.query, quarantineFilters);
  const { account } = filters;
  const accounts = account === undefined ? await services.accounts.everyName({ signal }) : [account];
  const found = await services.quarantine.list(accounts, { ...page, signal });
  const { items, next } = pageOf(found, page.top, ({ key }) => key);
  return {
    jsonBody: listAnswer(
      items.map(({ mail }) => mail),
      next,
    ),
  };
}
