import { describe, expect, it } from 'vitest';
import { rowsContract } from '../contract/rows.contract.ts';
import { MemoryRows } from './memory-rows.ts';

const rows = new MemoryRows();
rowsContract(() => rows);

describe('a filter', () => {
  it.each([
    ['n gt 1', ['b', 'c']],
    ['n le 1', ['a']],
    ["text eq 'it''s'", ['b']],
    ["n ge 2 and text eq 'x'", ['c']],
    ["n lt 2 or (n gt 2 and text eq 'x')", ['a', 'c']],
    ['missing ge 0', []],
  ])('%s fits %j', async (filter, keys) => {
    await rows.write('filter', [
      { kind: 'put', key: 'a', columns: { n: 1, text: 'x' } },
      { kind: 'put', key: 'b', columns: { n: 2, text: "it's" } },
      { kind: 'put', key: 'c', columns: { n: 3, text: 'x' } },
    ]);
    const fitting: string[] = [];
    for await (const { key } of rows.range('filter', '', '~', { filter })) fitting.push(key);
    expect(fitting).toEqual(keys);
  });

  it.each(['n', 'n gt', '(n gt 1', 'n gt 1 n gt 2', 'not n gt 1'])('%s is not understood', async (filter) => {
    await expect(rows.range('filter', '', '~', { filter }).next()).rejects.toThrow();
  });
});
