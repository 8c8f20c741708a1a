/** How many entries a map keeps, and which ones. */
export interface LruOptions<V> {
  /** Entries at most. */
  readonly max: number;
  /** False: this value is in use and stays, whatever else there is. More than `max` may then be kept. */
  readonly mayEvict?: (value: V) => boolean;
  /** A value went because there were too many. Not called for `delete` and `clear`. */
  readonly evicted?: (value: V) => void;
}

/** A map that forgets the entry used longest ago where it would hold too many. */
export class LruMap<K, V extends {}> {
  /** In the order of their last use, the oldest first. */
  readonly #entries = new Map<K, V>();
  readonly #options: LruOptions<V>;

  constructor(options: LruOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether there is such an entry. This is no use of it. */
  has(key: K): boolean {
    return this.#entries.has(key);
  }

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#options.max) this.#evictOldest();
    this.#entries.set(key, value);
  }

  /** The value there is, or the one that `make` makes. */
  getOrCreate(key: K, make: () => V): V {
    const known = this.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.set(key, made);
    return made;
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** From the one used longest ago on. */
  values(): IterableIterator<V> {
    return this.#entries.values();
  }

  #evictOldest(): void {
    const { mayEvict, evicted } = this.#options;
    for (const [key, value] of this.#entries) {
      if (mayEvict && !mayEvict(value)) continue;
      this.#entries.delete(key);
      evicted?.(value);
      return;
    }
  }
}
