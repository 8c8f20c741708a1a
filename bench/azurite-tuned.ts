import { createRequire } from 'node:module';
import { basename } from 'node:path';

/**
 * Preloaded into Azurite alone (`NODE_OPTIONS=--import`): takes two costs out of its in-memory store that no real storage
 * account has, and that grow with all it holds. What it answers stays the same.
 *
 * It asks for an entity by partition and row key, and for a blob by account, container and name; the store uses its index
 * for the first of these only, which all entities share, and looks through the rest one by one. Here the condition that
 * says most stands first. And whenever a queue message is deleted, those that expired are removed: mostly none, but the
 * store then sorts all its indexes anew. Here removing nothing does nothing.
 */

type Expression = Readonly<Record<string, unknown>>;
type FindAnd = (this: object, expressions: readonly Expression[]) => object;
type Remove = (this: object, documents: unknown) => unknown;

interface Store {
  readonly Resultset: { readonly prototype: { findAnd: FindAnd; $and: FindAnd } };
  readonly Collection: { readonly prototype: { remove: Remove } };
}

function isStore(module: unknown): module is Store {
  return (
    typeof module === 'function' &&
    ['Resultset', 'Collection'].every((name) => typeof Reflect.get(module, name) === 'function')
  );
}

/** Row keys and blob names are all but unique; both have an index. */
const tellsMost = (expression: Expression) => 'RowKey' in expression || 'name' in expression;

function tune({ Resultset, Collection }: Store): void {
  const { findAnd } = Resultset.prototype;
  const selectiveFirst: FindAnd = function (expressions) {
    const first = expressions.filter(tellsMost);
    return findAnd.call(this, [...first, ...expressions.filter((expression) => !tellsMost(expression))]);
  };
  Resultset.prototype.findAnd = selectiveFirst;
  Resultset.prototype.$and = selectiveFirst;
  const { remove } = Collection.prototype;
  Collection.prototype.remove = function (documents) {
    return Array.isArray(documents) && documents.length === 0 ? undefined : remove.call(this, documents);
  };
}

if (basename(process.argv[1] ?? '') === 'azurite-process.ts') {
  const azurite = createRequire(createRequire(import.meta.url).resolve('azurite/package.json'));
  const store: unknown = azurite('lokijs');
  if (!isStore(store)) throw new Error('this version of Azurite keeps its data in another way');
  tune(store);
}
