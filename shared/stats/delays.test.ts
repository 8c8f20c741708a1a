import { describe, expect, it } from 'vitest';
import { percentile, rangeOf } from './delays.ts';

/** Delays in seconds, as counts per range. */
function counted(seconds: readonly number[]): ReadonlyMap<number, number> {
  const delays = new Map<number, number>();
  for (const each of seconds) delays.set(rangeOf(each), (delays.get(rangeOf(each)) ?? 0) + 1);
  return delays;
}

describe('a percentile', () => {
  it('is at most 4.4 % from the delay it stands for, from 0.05 s to a week', () => {
    const factor = 2 ** (1 / 16);
    for (let seconds = 0.0501; seconds < 7 * 86_400; seconds *= 1.013) {
      const reported = percentile(counted([seconds]), 0.5) ?? 0;
      // Three digits are reported: half of the last one comes on top.
      expect(Math.max(reported / seconds, seconds / reported)).toBeLessThan(factor * 1.005);
    }
  });

  it('is that of the nearest rank', () => {
    const seconds = Array.from({ length: 100 }, (_, n) => n + 1);
    expect(percentile(counted(seconds), 0.5)).toBeCloseTo(50, -1);
    expect(percentile(counted(seconds), 0.95)).toBeCloseTo(95, -1);
    // Nineteen of twenty are fast: the 95th percentile is, and the maximum is not.
    const fast = Array(19).fill(1);
    expect(percentile(counted([...fast, 1000]), 0.95)).toBeLessThan(1.1);
    expect(percentile(counted([...fast, 1000]), 1)).toBeGreaterThan(950);
  });

  it('of nothing there is none', () => {
    expect(percentile(new Map(), 0.5)).toBeUndefined();
  });
});

describe('a range', () => {
  it.each([
    [0, 0],
    [-3600, 0],
    [Number.NaN, 0],
    [1e12, 200],
    [Number.POSITIVE_INFINITY, 200],
  ])('of %d s is %i', (seconds, range) => {
    expect(rangeOf(seconds)).toBe(range);
  });
});
