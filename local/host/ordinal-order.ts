/** .NET's ordinal order without letter case: compares upper-cased code units. */
export function compareOrdinalIgnoreCase(a: string, b: string): number {
  const [left, right] = [a.toUpperCase(), b.toUpperCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}
