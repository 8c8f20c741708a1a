import { mapConcurrently } from './concurrency.ts';

/** Partitions read at one time for one listing. */
const concurrentReads = 16;

/** What a listing over many partitions wants. */
export interface FirstOptions<T> {
  /** How many at most. */
  readonly top: number;
  /** They are sorted by it, the smallest first. */
  readonly keyOf: (item: T) => string;
  /**
   * Whether a name has nothing that sorts before `last`, the last one of as many as are wanted (undefined: so many are not
   * found yet). Such a name is not read. Asked in the order of the names: those that are to be read first stand first.
   */
  readonly isBehind?: (name: string, last: T | undefined) => boolean;
}

/**
 * The first `top` of what `read` gives for each of the names together. Several are read at a time, so that a listing over a
 * thousand accounts takes a second and not twenty, and no more are kept than may be answered. Throws what `read` throws.
 */
export async function firstOfAll<T>(
  names: readonly string[],
  { top, keyOf, isBehind }: FirstOptions<T>,
  read: (name: string) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  let first: readonly T[] = [];
  await mapConcurrently(names, concurrentReads, async (name) => {
    if (isBehind?.(name, first.length === top ? first.at(-1) : undefined)) return;
    const found = await read(name);
    if (found.length > 0) first = [...first, ...found].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).slice(0, top);
  });
  return first;
}
