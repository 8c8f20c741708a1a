import { z } from 'zod';
import type { Paging } from './paging.ts';

/** Where a page of a list by name ended. */
export const listToken = z.object({ after: z.string().max(64) });

/** One page of items that are all in memory, in the order of their names. */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  { top, continue: token }: Paging<z.output<typeof listToken>>,
): { readonly items: readonly T[]; readonly next?: z.output<typeof listToken> } {
  const left = token === undefined ? items : items.filter((item) => nameOf(item) > token.after);
  const page = left.slice(0, top);
  const last = page.at(-1);
  return left.length > page.length && last !== undefined
    ? { items: page, next: { after: nameOf(last) } }
    : { items: page };
}
