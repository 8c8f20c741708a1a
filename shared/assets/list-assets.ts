import { z } from 'zod';
import { accountNameSchema } from '../accounts/model.ts';
import { encodeContinue, parseList } from '../http/paging.ts';
import type { AssetLibrary, AssetSummary } from './library.ts';

const instant = z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' });

export const assetQuerySchema = z.object({
  account: accountNameSchema.optional(),
  since: instant.optional().meta({ description: 'Imported at or after this instant.' }),
  until: instant.optional().meta({ description: 'Imported before this instant.' }),
});

const tokenSchema = z.object({ after: z.string().max(100) });

/** `GET /assets`: of one account or of all there are or were, newest import first. */
export async function listAssets(
  library: AssetLibrary,
  accountNames: () => Promise<readonly string[]>,
  query: URLSearchParams,
  options: { readonly signal: AbortSignal },
): Promise<{ items: AssetSummary[]; continue?: string }> {
  const { filters, paging } = parseList(query, assetQuerySchema, tokenSchema);
  const { account, since, until } = filters;
  const { top, continue: token } = paging;
  const { page, more } = await library.list(account === undefined ? await accountNames() : [account], {
    ...options,
    top,
    ...(since === undefined ? {} : { since: Date.parse(since) }),
    ...(until === undefined ? {} : { until: Date.parse(until) }),
    ...(token === undefined ? {} : { after: token.after }),
  });
  const last = page.at(-1);
  return {
    items: page.flatMap(({ asset }) => (asset ? [asset] : [])),
    ...(more && last ? { continue: encodeContinue({ after: last.key }) } : {}),
  };
}
