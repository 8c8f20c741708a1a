import { setImmediate as nextTurn } from 'node:timers/promises';

interface Extents {
  chain(): { find(query: { readonly id: string }): { data(): readonly object[] } };
  remove(extent: object): void;
}

/** Azurite's list of the files, or pieces of memory, that blobs and messages are in. */
interface ExtentList {
  readonly db: { getCollection(name: string): Extents };
  readonly EXTENTS_COLLECTION: string;
  deleteExtent(id: string): Promise<void>;
}

/** Azurite's class `LokiExtentMetadataStore`. */
export interface ExtentLists {
  readonly prototype: ExtentList;
}

/** Extents that are removed at one go. */
const extentsAtOnce = 50;

/**
 * Azurite regularly removes the extents of blobs (every ten minutes) and messages (every minute) that are gone, and sorts
 * the index of all others anew for each that it removes (azurite 3.35, LokiExtentMetadataStore): with some ten thousand
 * of them it answers nothing for minutes. From now on one is taken out of the index alone, and requests are answered in
 * between.
 */
export function removeExtentsOneByOne({ prototype }: ExtentLists): void {
  let removed = 0;
  prototype.deleteExtent = async function (id) {
    const extents = this.db.getCollection(this.EXTENTS_COLLECTION);
    for (const extent of extents.chain().find({ id }).data()) extents.remove(extent);
    removed += 1;
    if (removed % extentsAtOnce === 0) await nextTurn();
  };
}
