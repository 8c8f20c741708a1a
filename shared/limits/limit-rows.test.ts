import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { limitRows, writeRow } from './limit-rows.ts';

const schema = z.object({ held: z.number() });
const absent = { held: 0 };

let table: MemoryRows;
beforeEach(() => {
  table = new MemoryRows();
});

const rows = () => limitRows(table, 'corpus', { now: () => 1_000_000 });

describe('the row of a limit', () => {
  it('is what was written last, by whomever', async () => {
    expect(await rows().read('m', schema, absent)).toEqual({ value: absent, etag: undefined });
    const etag = await writeRow(rows(), 'm', { held: 3 }, await rows().read('m', schema, absent));
    expect(etag).toBeDefined();
    expect(await rows().read('m', schema, absent)).toEqual({ value: { held: 3 }, etag });
  });

  it('is not written where another process was faster, be it new or known', async () => {
    const none = await rows().read('m', schema, absent);
    const first = await writeRow(rows(), 'm', { held: 1 }, none);
    expect(await writeRow(rows(), 'm', { held: 2 }, none)).toBeUndefined();
    const known = await rows().read('m', schema, absent);
    await writeRow(rows(), 'm', { held: 4 }, known);
    expect(await writeRow(rows(), 'm', { held: 5 }, known)).toBeUndefined();
    expect(first).toBeDefined();
    expect((await rows().read('m', schema, absent)).value).toEqual({ held: 4 });
  });

  it('throws the trouble of storage, which is no conflict', async () => {
    table.onWrite = () => {
      throw new Error('storage is away');
    };
    const none = await rows().read('m', schema, absent);
    await expect(writeRow(rows(), 'm', { held: 1 }, none)).rejects.toThrow('storage is away');
  });
});
