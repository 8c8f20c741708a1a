import LokiExtentMetadataStore from 'azurite/dist/src/common/persistence/LokiExtentMetadataStore.js';

/**
 * Azurite without two costs of its in-memory store that no real storage account has, and that grow with all it holds.
 * What it answers stays the same.
 *
 * It asks for an entity by partition and row key, and for a blob by account, container and name; the store uses its index
 * for the first of these only, which all entities share, and looks through the rest one by one. Here the condition that
 * says most stands first. And whenever a queue message is deleted, those that expired are removed: mostly none, but the
 * store then sorts all its indexes anew. Here removing nothing does nothing.
 */

type Expression = Readonly<Record<string, unknown>>;
type FindAnd = (this: object, expressions: readonly Expression[]) => object;
type Remove = (this: object, documents: unknown) => unknown;

/** What the store is made of: `Resultset` and `Collection` of LokiJS. */
interface Prototypes {
  readonly resultset: { findAnd: FindAnd; $and: FindAnd };
  readonly collection: { remove: Remove };
}

/** Azurite's class `LokiExtentMetadataStore`, in memory. */
type StoreClass = new (
  path: string,
  inMemory: true,
) => { readonly db: { addCollection(name: string): object & { chain(): object } } };

/** Row keys and blob names are all but unique; both have an index. */
const tellsMost = (expression: Expression) => 'RowKey' in expression || 'name' in expression;

function tune({ resultset, collection }: Prototypes): void {
  const { findAnd } = resultset;
  const selectiveFirst: FindAnd = function (expressions) {
    const first = expressions.filter(tellsMost);
    return findAnd.call(this, [...first, ...expressions.filter((expression) => !tellsMost(expression))]);
  };
  resultset.findAnd = selectiveFirst;
  resultset.$and = selectiveFirst;
  const { remove } = collection;
  collection.remove = function (documents) {
    return Array.isArray(documents) && documents.length === 0 ? undefined : remove.call(this, documents);
  };
}

/** Azurite's own store is asked: another copy of LokiJS would be changed without any effect. */
function prototypes(): Prototypes {
  const Store = LokiExtentMetadataStore.default as StoreClass;
  const { db } = new Store('', true);
  const collection = db.addCollection('any');
  const found: unknown = {
    resultset: Object.getPrototypeOf(collection.chain()),
    collection: Object.getPrototypeOf(collection),
  };
  if (!arePrototypes(found)) throw new Error('this version of Azurite keeps its data in another way');
  return found;
}

function arePrototypes(found: unknown): found is Prototypes {
  const { resultset, collection } = found as Record<string, Readonly<Record<string, unknown>>>;
  return [resultset?.findAnd, resultset?.$and, collection?.remove].every((method) => typeof method === 'function');
}

tune(prototypes());
await import('../local/azurite-process.ts');
