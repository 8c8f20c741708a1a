import { knownNames } from './known-properties.ts';

/** Words people write for the last part of a name, too far from the right one for a typing error. */
const synonyms: Readonly<Record<string, string>> = {
  username: 'user',
  login: 'user',
  pass: 'password',
  passwd: 'password',
  pwd: 'password',
  hostname: 'host',
  server: 'host',
  ssl: 'ssl.enable',
  tls: 'starttls.enable',
  starttls: 'starttls.enable',
};

/** Typing errors that may still be meant. */
const maxDistance = 2;

/** Longer ones are no mistyped name of ours; bounds the work. */
const maxLength = 48;

/**
 * Letters to insert, remove, replace or swap with their neighbour to make `b` of `a` (optimal string alignment).
 * Answers more than `limit` as soon as it is sure of that.
 */
export function editDistance(a: string, b: string, limit = maxDistance): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const costs = [(last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1)];
      if (swapped) costs.push((before[j - 2] ?? 0) + 1);
      row.push(Math.min(...costs));
    }
    if (Math.min(...row) > limit) return limit + 1;
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The one of `words` that `word` is most like, the first of several; undefined where none is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > maxLength) return undefined;
  const given = word.toLowerCase();
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const each of words) {
    const distance = editDistance(given, each.toLowerCase());
    // A short word must not turn into another one altogether.
    if (distance <= maxDistance && distance * 3 <= each.length && (!best || distance < best.distance))
      best = { word: each, distance };
  }
  return best?.word;
}

/** The property that was meant by `name`, if that can be guessed; those of `inUse` (prefixes like `mail.smtp.`) first. */
export function meantProperty(name: string, inUse: readonly string[]): string | undefined {
  const [, start = '', end = ''] = /^(mail\.[a-z0-9]+\.)([A-Za-z]+)$/.exec(name) ?? [];
  const synonym = Object.hasOwn(synonyms, end.toLowerCase()) ? `${start}${synonyms[end.toLowerCase()]}` : undefined;
  if (synonym !== undefined && knownNames.includes(synonym)) return synonym;
  const likely = knownNames.filter((known) => inUse.some((prefix) => known.startsWith(prefix)));
  return nearest(name, likely) ?? nearest(name, knownNames);
}
