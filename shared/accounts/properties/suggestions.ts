import { knownNames } from './known-properties.ts';

/** Words that people write for the last part of a name, and that are no typing errors. */
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

/** Typing errors at most between a name and a suggestion. */
const maxDistance = 2;

/** Longer names are not compared: this bounds the time. */
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

/** The one of `words` with the fewest typing errors towards `word`, the first of several; undefined if none is close. */
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

/**
 * The known property that `name` may stand for; undefined if none is close. Those with a prefix of `inUse` (such as
 * `mail.smtp.`) come first.
 */
export function suggestProperty(name: string, inUse: readonly string[]): string | undefined {
  const [, start = '', end = ''] = /^(mail\.[a-z0-9]+\.)([A-Za-z]+)$/.exec(name) ?? [];
  const synonym = Object.hasOwn(synonyms, end.toLowerCase()) ? `${start}${synonyms[end.toLowerCase()]}` : undefined;
  if (synonym !== undefined && knownNames.includes(synonym)) return synonym;
  const likely = knownNames.filter((known) => inUse.some((prefix) => known.startsWith(prefix)));
  return nearest(name, likely) ?? nearest(name, knownNames);
}
