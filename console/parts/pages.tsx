import { useLocation } from 'preact-iso';
import { addressWith } from './address.ts';

/** Leads to the next page of a list, by its `continue`, and back to the first one. The page is part of the address. */
export function Pages({ next, label }: { readonly next: string | undefined; readonly label: string }) {
  const { path, query } = useLocation();
  if (next === undefined && !query.continue) return null;
  return (
    <nav class="pages" aria-label={label}>
      {query.continue ? <a href={addressWith(path, query, { continue: undefined })}>First page</a> : <span />}
      {next !== undefined && <a href={addressWith(path, query, { continue: next })}>Next page</a>}
    </nav>
  );
}
