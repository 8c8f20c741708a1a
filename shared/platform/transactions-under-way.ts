import type { Group } from './row-groups.ts';

/** Transactions of one partition at a time. */
const maxUnderWay = 3;

/** Rows of a group that little could join, in a transaction of at most 100. */
const largeGroup = 50;

/** A transaction, as far as others may have to wait for it. */
interface Transaction {
  readonly large: boolean;
  /** Of its rows. */
  readonly keys: ReadonlySet<string>;
}

/**
 * The transactions of a table that are under way. A small one is waited for by other small ones, which then share the next,
 * since transactions are what storage costs. A large one keeps nobody waiting, and is not kept waiting, unless both name
 * the same row. A group keeps its place behind those that wait: where it does not fit into a transaction with them, it waits
 * as well.
 */
export class TransactionsUnderWay {
  readonly #byPartition = new Map<string, Set<Transaction>>();

  /** Whether there are any. */
  has(partition: string): boolean {
    return this.#byPartition.has(partition);
  }

  /** Whether one of these groups has to wait for one of them. */
  keepWaiting(partition: string, groups: readonly Group[]): boolean {
    const underWay = [...(this.#byPartition.get(partition) ?? [])];
    if (underWay.length >= maxUnderWay) return true;
    const { large, keys } = transactionOf(groups);
    if (!large && underWay.some((other) => !other.large)) return true;
    return underWay.some((other) => [...keys].some((key) => other.keys.has(key)));
  }

  /** One of these groups begins. Answers what to call when it has ended. */
  begin(partition: string, groups: readonly Group[]): () => void {
    const underWay = this.#byPartition.get(partition) ?? new Set<Transaction>();
    const transaction = transactionOf(groups);
    underWay.add(transaction);
    this.#byPartition.set(partition, underWay);
    return () => {
      underWay.delete(transaction);
      if (underWay.size === 0) this.#byPartition.delete(partition);
    };
  }
}

function transactionOf(groups: readonly Group[]): Transaction {
  return {
    large: groups.some(({ writes }) => writes.length >= largeGroup),
    keys: new Set(groups.flatMap(({ writes }) => writes.map(({ key }) => key))),
  };
}
