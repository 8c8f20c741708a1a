import { z } from 'zod';
import type { Paging } from './paging.ts';

/** The key at which a page of a list ended. */
export const listToken = z.object({ after: z.string().max(64) });

/** One page of items that are all in memory, in the order of their keys, of which no two are the same. */
export function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { top, continue: token }: Paging<z.output<typeof listToken>>,
): { readonly items: readonly T[]; readonly next?: z.output<typeof listToken> } {
  const sorted = [...items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const left = token === undefined ? sorted : sorted.filter((item) => keyOf(item) > token.after);
  const page = left.slice(0, top);
  const last = page.at(-1);
  return left.length > page.length && last !== undefined
    ? { items: page, next: { after: keyOf(last) } }
    : { items: page };
}
