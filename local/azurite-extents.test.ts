import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { removeExtentsOneByOne } from './azurite-extents.ts';

interface ExtentList {
  init(): Promise<void>;
  close(): Promise<void>;
  updateExtent(extent: object): Promise<void>;
  deleteExtent(id: string): Promise<void>;
  getExtentLocationId(id: string): Promise<string>;
  readonly db: { getCollection(name: string): { ensureIndex(...args: readonly unknown[]): void } };
  readonly EXTENTS_COLLECTION: string;
}

const List: (new (path: string, inMemory: boolean) => ExtentList) & { readonly prototype: ExtentList } = createRequire(
  import.meta.url,
)('azurite/dist/src/common/persistence/LokiExtentMetadataStore.js').default;

test('what Azurite removes of many is gone, the others are found, and no index is sorted anew', async () => {
  removeExtentsOneByOne(List);
  const list = new List('extents.json', true);
  await list.init();
  // In no order of their names.
  const ids = Array.from({ length: 300 }, (_, n) => `${(n * 7) % 300}-extent`);
  for (const id of ids) {
    await list.updateExtent({ id, locationId: `at ${id}`, path: id, size: 1, lastModifiedInMS: 1 });
  }
  const extents = list.db.getCollection(list.EXTENTS_COLLECTION);
  let sorted = 0;
  extents.ensureIndex = () => {
    sorted += 1;
  };
  for (const id of ids.filter((_, n) => n % 2 === 0)) await list.deleteExtent(id);
  await list.deleteExtent('one that is not there');
  expect(sorted).toBe(0);
  const found = await Promise.all(ids.map((id) => list.getExtentLocationId(id).catch(() => 'gone')));
  expect(found).toEqual(ids.map((id, n) => (n % 2 === 0 ? 'gone' : `at ${id}`)));
  await list.close();
});
