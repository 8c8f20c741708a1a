/**
 * Delays as counts per range, so that those of any days and accounts add up: eight ranges for each doubling, from 0.05 s
 * on. What is answered for a range is its middle, at most 4.4 % (2^(1/16)) from any delay in it.
 */

const rangesPerDoubling = 8;
const shortestSeconds = 0.05;
/** Begins at 17 days; a mail is given up after two. */
const lastRange = 200;

/** How many delays fell into each range. */
export type Delays = ReadonlyMap<number, number>;

/** The range of a delay, 0 to 200; a negative one, of clocks that differ, counts as 0. */
export function rangeOf(seconds: number): number {
  if (!(seconds > shortestSeconds)) return 0;
  return Math.min(lastRange, 1 + Math.floor(rangesPerDoubling * Math.log2(seconds / shortestSeconds)));
}

/** The delay that `share` of all (0 to 1) are at most as long as, in seconds, by nearest rank; undefined: there are none. */
export function percentile(delays: Delays, share: number): number | undefined {
  const ranges = [...delays].sort(([a], [b]) => a - b);
  const rank = Math.max(1, Math.ceil(share * ranges.reduce((sum, [, count]) => sum + count, 0)));
  let passed = 0;
  for (const [range, count] of ranges) {
    passed += count;
    if (passed >= rank) return secondsOf(range);
  }
  return undefined;
}

/** The middle of a range, to three digits. */
function secondsOf(range: number): number {
  const seconds = range === 0 ? shortestSeconds : shortestSeconds * 2 ** ((range - 0.5) / rangesPerDoubling);
  return Number(seconds.toPrecision(3));
}
