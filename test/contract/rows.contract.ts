import { describe, expect, it } from 'vitest';
import { jsonColumns, jsonOf, prefixEnd, RowConflict, type Rows, type RowWrite } from '../../shared/platform/rows.ts';

const put = (key: string, columns: Record<string, string | number | boolean> = {}): RowWrite => ({
  kind: 'put',
  key,
  columns,
});

/** What rows must do, however the storage is opened. `table` is asked for within the tests. */
export function rowsContract(table: () => Rows): void {
  describe('a group of writes', () => {
    it('answers the etag of each row, in the order of the writes, whatever they are', async () => {
      // The SDK gives etags without names: this is what conditional writes rest on.
      for (let round = 0; round < 12; round += 1) {
        const partition = `etags${round}`;
        await table().write(
          partition,
          ['a', 'b', 'c', 'd'].map((key) => put(key, { n: 0 })),
        );
        const text = 'x'.repeat(round * 200);
        const writes: RowWrite[] = [
          { kind: 'merge', key: 'a', columns: { text } },
          { kind: 'replace', key: 'b', columns: { n: 1 } },
          { kind: 'delete', key: 'c' },
          put('d', { text }),
          { kind: 'insert', key: 'e', columns: { n: 2 } },
        ].sort(
          (a, b) => ((round * 7 + a.key.charCodeAt(0) * 13) % 5) - ((round * 7 + b.key.charCodeAt(0) * 13) % 5),
        ) as RowWrite[];
        const etags = await table().write(partition, writes);
        for (const [index, write] of writes.entries()) {
          expect((await table().get(partition, write.key))?.etag ?? '').toBe(etags[index]);
        }
      }
    });

    it.each<[string, RowWrite, RowConflict['reason']]>([
      ['an insert of a row that exists', { kind: 'insert', key: 'there', columns: {} }, 'exists'],
      ['a replace of a row that does not', { kind: 'replace', key: 'not there', columns: {} }, 'missing'],
      ['a merge of a row that does not', { kind: 'merge', key: 'not there', columns: {} }, 'missing'],
      ['a delete of a row that does not', { kind: 'delete', key: 'not there' }, 'missing'],
      ['a replace of a row with another etag', { kind: 'replace', key: 'there', columns: {}, etag: 'old' }, 'changed'],
      ['a merge of a row with another etag', { kind: 'merge', key: 'there', columns: {}, etag: 'old' }, 'changed'],
      ['a delete of a row with another etag', { kind: 'delete', key: 'there', etag: 'old' }, 'changed'],
    ])('fails by %s, and says why', async (_, write, reason) => {
      const partition = 'conditions';
      const [old = ''] = await table().write(partition, [put('there', { n: 1 })]);
      await table().write(partition, [put('there', { n: 2 })]);
      const given = 'etag' in write && write.etag === 'old' ? { ...write, etag: old } : write;
      const refused = table().write(partition, [given]);
      await expect(refused).rejects.toBeInstanceOf(RowConflict);
      await expect(refused).rejects.toMatchObject({ reason });
      expect((await table().get(partition, 'there'))?.columns).toEqual({ n: 2 });
    });

    it('of no rows is no write', async () => {
      expect(await table().write('nothing', [])).toEqual([]);
    });

    it('is carried out whole or not at all', async () => {
      await table().write('whole', [put('there')]);
      const writes: RowWrite[] = [put('other'), { kind: 'insert', key: 'there', columns: {} }];
      await expect(table().write('whole', writes)).rejects.toMatchObject({ reason: 'exists' });
      expect(await table().get('whole', 'other')).toBeUndefined();
    });

    it('deletes on condition, also beside others', async () => {
      for (const others of [[], [put('beside', { text: 'DELETE x\r\nIf-Match: *' })]]) {
        const [etag = ''] = await table().write('condition', [put('row', { n: 0 }), put('second')]);
        await table().write('condition', [{ kind: 'merge', key: 'row', columns: { n: 1 } }]);
        const deletes: RowWrite[] = [
          { kind: 'delete', key: 'second' },
          { kind: 'delete', key: 'row', etag },
        ];
        await expect(table().write('condition', [...others, ...deletes])).rejects.toMatchObject({ reason: 'changed' });
        const row = await table().get('condition', 'row');
        expect(row?.columns).toEqual({ n: 1 });
        const now: RowWrite[] = [
          { kind: 'delete', key: 'second' },
          { kind: 'delete', key: 'row', etag: row?.etag ?? '' },
        ];
        await table().write('condition', [...others, ...now]);
        expect(await table().get('condition', 'row')).toBeUndefined();
      }
    });

    it('deletes each row that is still as it was listed', async () => {
      const keys = Array.from({ length: 120 }, (_, n) => `l${n}`);
      await table().writeAll(
        'each',
        keys.map((key) => put(key)),
      );
      const listed: { key: string; etag: string }[] = [];
      for await (const { key, etag } of table().prefix('each', 'l', { select: ['n'] })) listed.push({ key, etag });
      await table().write('each', [{ kind: 'merge', key: 'l7', columns: { n: 7 } }]);
      await table().write('each', [{ kind: 'delete', key: 'l9' }]);
      await table().deleteEach('each', listed);
      const left: string[] = [];
      for await (const { key } of table().prefix('each', '')) left.push(key);
      expect(left).toEqual(['l7']);
    });

    it('that fails does not take along those that shared its transaction', async () => {
      await table().write('shared', [put('taken')]);
      const results = await Promise.allSettled(
        Array.from({ length: 30 }, (_, n) =>
          table().write('shared', [{ kind: 'insert', key: n === 11 ? 'taken' : `row${n}`, columns: { n } }]),
        ),
      );
      expect(results.flatMap((result, n) => (result.status === 'rejected' ? [n] : []))).toEqual([11]);
      let rows = 0;
      for await (const _ of table().prefix('shared', 'row')) rows += 1;
      expect(rows).toBe(29);
    });

    it('and later ones of the same row are carried out one after the other', async () => {
      await Promise.all(Array.from({ length: 20 }, (_, n) => table().write('same', [put('row', { n })])));
      expect((await table().get('same', 'row'))?.columns.n).toBe(19);
    });

    it('may hold more rows over all than one transaction does', async () => {
      const groups = Array.from({ length: 9 }, (_, g) => Array.from({ length: 30 }, (_, n) => put(`${g}-${n}`)));
      await Promise.all(groups.map((group) => table().write('many', group)));
      let rows = 0;
      for await (const _ of table().prefix('many', '')) rows += 1;
      expect(rows).toBe(270);
    });
  });

  describe('rows', () => {
    it('keep documents that are longer than a property may be', async () => {
      const document = { text: 'ä😀'.repeat(20_000), list: [1, 2, 3] };
      await table().write('long', [put('row', jsonColumns(document))]);
      const row = await table().get('long', 'row');
      // Not toEqual: its report of a difference would be as long as the document.
      expect(JSON.stringify(row && jsonOf(row)) === JSON.stringify(document)).toBe(true);
    });

    it('keep milliseconds, texts and truths as they are', async () => {
      await table().write('types', [put('row', { at: 1_795_430_692_374, text: "it's", yes: true })]);
      expect((await table().get('types', 'row'))?.columns).toMatchObject({
        at: 1_795_430_692_374,
        text: "it's",
        yes: true,
      });
    });

    it('are read up to a number, and none beyond it', async () => {
      const keys = ['a', 'b', 'c'];
      await table().write(
        'some',
        keys.map((key) => put(key)),
      );
      const read = async (top: number) => {
        const found: string[] = [];
        for await (const { key } of table().prefix('some', '', { top })) found.push(key);
        return found;
      };
      expect([await read(0), await read(2), await read(3), await read(4)]).toEqual([[], ['a', 'b'], keys, keys]);
    });

    it("have keys with ' in them, which are read and found like any other", async () => {
      await table().write("o'clock", [put("it's"), put('its')]);
      expect((await table().get("o'clock", "it's"))?.key).toBe("it's");
      const found: string[] = [];
      for await (const { key } of table().prefix("o'clock", "it'")) found.push(key);
      expect(found).toEqual(["it's"]);
    });

    it('are read by range, in order, and not beyond it', async () => {
      await table().write(
        'range',
        ['a:1', 'b:1', 'b:2', 'b:3', 'c:1'].map((key) => put(key)),
      );
      const keys: string[] = [];
      for await (const row of table().prefix('range', 'b:', { top: 2 })) keys.push(row.key);
      expect(keys).toEqual(['b:1', 'b:2']);
      expect(prefixEnd('b:')).toBe('b;');
    });
  });
}
