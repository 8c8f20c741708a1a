import { z } from 'zod';
import { parseQuery } from '../query.ts';

const flag = z.enum(['true', 'false'], { error: 'must be true or false' }).optional();
/** Parameters of the list of accounts, besides those of its pages. */
export const accountFilters = z.object({ health: flag });
/** Parameters of `PUT` and `PATCH`. */
export const putQuery = z.strictObject({ dryRun: flag });
/** Parameters of `DELETE`. */
export const deleteQuery = z.strictObject({ secrets: flag });

/** Query parameters of the routes that change accounts. Throw Refusal `invalid`. */
export const accountQuery = {
  /** `PUT` and `PATCH`. */
  put: (query: URLSearchParams): { readonly dryRun: boolean } => ({
    dryRun: parseQuery(putQuery, query).dryRun === 'true',
  }),
  delete: (query: URLSearchParams): { readonly secrets: boolean } => ({
    secrets: parseQuery(deleteQuery, query).secrets === 'true',
  }),
};
