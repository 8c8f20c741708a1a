import { expect, it } from 'vitest';
import { LruMap } from './lru-map.ts';

it('forgets the entry used longest ago: reading and writing are uses, asking whether it is there is none', () => {
  const map = new LruMap<string, number>({ max: 3 });
  for (const [n, key] of ['a', 'b', 'c'].entries()) map.set(key, n);
  expect([map.get('a'), map.has('b')]).toEqual([0, true]);
  map.set('d', 3);
  expect([...map.values()]).toEqual([2, 0, 3]);
  map.set('c', 4);
  map.set('e', 5);
  expect([...map.values()]).toEqual([3, 4, 5]);
  expect(map.get('a')).toBeUndefined();
});

it('keeps falsy values, and makes one that is not there', () => {
  const map = new LruMap<string, boolean>({ max: 1 });
  expect(map.getOrCreate('a', () => false)).toBe(false);
  expect(map.getOrCreate('a', () => true)).toBe(false);
  expect(map.getOrCreate('b', () => true)).toBe(true);
  expect(map.size).toBe(1);
});

it('keeps what is in use, the limit notwithstanding, and says what it forgot', () => {
  const evicted: string[] = [];
  const map = new LruMap<string, string>({
    max: 2,
    mayEvict: (value) => value !== 'used',
    evicted: (value) => evicted.push(value),
  });
  map.set('a', 'used');
  map.set('b', 'idle');
  map.set('c', 'used');
  expect(evicted).toEqual(['idle']);
  map.set('d', 'used');
  expect([...map.values()]).toEqual(['used', 'used', 'used']);
  map.delete('a');
  map.clear();
  expect([map.size, evicted]).toEqual([0, ['idle']]);
});
