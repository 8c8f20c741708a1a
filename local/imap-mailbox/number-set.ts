import { bad } from './values.ts';

/** Whether a number is in a set such as `1,3:5,9:*`; `*` is `highest` (RFC 3501 section 9, sequence-set). */
export function numberSet(text: string, highest: number): (number: number) => boolean {
  const ranges = text.split(',').map((range) => {
    const match = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/.exec(range);
    if (!match) throw bad('Not a message set');
    const from = bound(match[1], highest);
    const to = match[2] === undefined ? from : bound(match[2], highest);
    return [Math.min(from, to), Math.max(from, to)] as const;
  });
  return (number) => ranges.some(([from, to]) => number >= from && number <= to);
}

function bound(text: string | undefined, highest: number): number {
  return text === '*' ? highest : Number(text);
}

/** Whether a text can be a sequence set (RFC 3501 section 9): numbers, `*`, ranges, commas. */
export function isNumberSet(text: string): boolean {
  return /^[\d*][\d*:,]*$/.test(text);
}

/** The shortest set of ascending numbers, for COPYUID. */
export function formatNumberSet(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === number) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}:${to}`)).join(',');
}
