/** Where the console is. */
export const base = '/api/console';

/** The address of this screen with other parameters; undefined takes one away. */
export function addressWith(
  path: string,
  query: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | undefined>>,
): string {
  const all = Object.entries({ ...query, ...changes }).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(all).toString();
  return text === '' ? path : `${path}?${text}`;
}
