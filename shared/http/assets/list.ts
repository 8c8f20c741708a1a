import { z } from 'zod';
import { accountNameSchema } from '../../accounts/model.ts';
import type { Answer, Call } from '../call.ts';
import { instantSchema } from '../instant.ts';
import { listAnswer, parseList } from '../paging.ts';

/** Which assets are listed. */
export const assetFilters = z.object({
  account: accountNameSchema.optional(),
  since: instantSchema.optional().meta({ description: 'Imported at or after this instant.' }),
  until: instantSchema.optional().meta({ description: 'Imported before this instant.' }),
});

/** `GET /assets`: of one account or of all there are or were, newest import first. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  const { filters, page } = parseList(request.query, assetFilters);
  const { account, since, until } = filters;
  const accounts = account === undefined ? await services.accounts.everyName({ signal }) : [account];
  const { page: listed, more } = await services.assets.list(accounts, {
    ...page,
    signal,
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  const items = listed.flatMap(({ asset }) => (asset ? [asset] : []));
  return { jsonBody: listAnswer(items, more ? listed.at(-1)?.key : undefined) };
}
