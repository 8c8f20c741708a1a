import type { GraphPlace } from './cloud.ts';
import { GraphError } from './graph-error.ts';

/**
 * A path of Graph from its segments, each encoded. `.` and `..` are refused: no encoding keeps them from leading out of
 * the mailbox (RFC 3986 section 5.2.4).
 */
export function graphPath(...segments: readonly string[]): string {
  return segments
    .map((segment) => {
      if (segment === '' || segment === '.' || segment === '..') {
        throw new GraphError('nonsense', 'a name that cannot stand in an address', { code: 'PATH_SEGMENT' });
      }
      // Graph takes `$value` and quotes as they are; RFC 3986 allows them in a path.
      return encodeURIComponent(segment).replaceAll('%24', '$').replaceAll('%40', '@');
    })
    .join('/');
}

/** The address of a path with OData query options; absent ones are left out. */
export function graphUrl(
  place: GraphPlace,
  path: string,
  query: Readonly<Record<string, string | number | undefined>> = {},
): URL {
  const options = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return new URL(`${place.base}/${path}${options.length === 0 ? '' : `?${options.join('&')}`}`);
}

/** A text in an OData filter: quotes are doubled (OData 4.01 ABNF, `SQUOTE-in-string`). */
export function odataText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * A link that Graph gave (`@odata.nextLink`, `@odata.deltaLink`), to be used as it is. Undefined where it leads anywhere
 * but to the configured endpoint: a token must not follow it there.
 */
export function ownLink(place: GraphPlace, link: string): URL | undefined {
  const url = URL.parse(link);
  return url && isOwn(place, url) ? url : undefined;
}

/** Whether an address leads to the configured endpoint, over https and without credentials in it. */
export function isOwn(place: GraphPlace, url: URL): boolean {
  return url.origin === place.origin && url.protocol === 'https:' && url.username === '' && url.password === '';
}

/** As `ownLink`, of a link in an answer. Throws GraphError `nonsense` where it leads elsewhere. */
export function nextLink(place: GraphPlace, link: string): URL {
  const url = ownLink(place, link);
  if (url) return url;
  throw new GraphError('nonsense', 'a link that leads to another host', { code: 'FOREIGN_HOST' });
}
