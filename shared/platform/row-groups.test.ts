import { describe, expect, it } from 'vitest';
import { fittingGroups, type Group, newGroup } from './row-groups.ts';
import type { RowWrite } from './row-types.ts';

const promise = { resolve: () => undefined, reject: () => undefined };
const group = (...keys: readonly string[]): Group =>
  newGroup(
    keys.map((key): RowWrite => ({ kind: 'put', key, columns: { text: 'x' } })),
    promise,
  );
const keys = (from: number, count: number) => Array.from({ length: count }, (_, n) => `k${from + n}`);

describe('fittingGroups', () => {
  it.each([
    ['none', [], 0],
    ['one', [group('a')], 1],
    ['several', [group('a'), group('b', 'c'), group('d')], 3],
    ['100 rows', [group(...keys(0, 60)), group(...keys(60, 40))], 2],
    ['101 rows', [group(...keys(0, 60)), group(...keys(60, 41))], 1],
    ['a row named again', [group('a', 'b'), group('c'), group('b')], 2],
    ['a group that is too large by itself, first', [group(...keys(0, 120)), group('z')], 1],
    ['a group that is too large by itself, later', [group('z'), group(...keys(0, 120))], 1],
  ])('of %s', (_, groups, fitting) => {
    expect(fittingGroups(groups)).toBe(fitting);
  });

  it('keeps a transaction below 4 MiB', () => {
    const large = (key: string) =>
      newGroup([{ kind: 'put', key, columns: { text: 'x'.repeat(500_000), other: 1 } }], promise);
    const fitting = fittingGroups(['a', 'b', 'c', 'd', 'e', 'f'].map(large));
    // In storage a character has two bytes.
    expect(fitting).toBe(3);
  });

  it('gives each group an id of its own', () => {
    expect(group('a').writeId).not.toBe(group('a').writeId);
  });
});
