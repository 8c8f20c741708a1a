import {
  prefixEnd,
  type RangeOptions,
  type Row,
  RowConflict,
  type Rows,
  type RowWrite,
} from '../../shared/platform/rows.ts';

type Values = Record<string, string | number | boolean>;

interface Stored {
  readonly etag: string;
  readonly columns: Values;
  readonly writtenAt: number;
}

/** What a test may do with each group of writes: let time pass, refuse it, or look at it. */
export type OnWrite = (partition: string, writes: readonly RowWrite[]) => void | Promise<void>;

/**
 * Rows in memory, for unit tests: groups are carried out whole or not at all, on the conditions that storage would look
 * at. What storage itself does (transactions, repetitions, limits of size) is tested with `RowTable`.
 */
export class MemoryRows implements Rows {
  readonly #partitions = new Map<string, Map<string, Stored>>();
  readonly #now: () => number;
  #writes = 0;
  /** Requests that storage would have had: one for each group, row read, and 1,000 rows of a range. */
  requests = 0;
  /** Asked before each group is carried out. */
  onWrite: OnWrite = () => undefined;

  /** `now`: the clock of storage, in ms since the epoch. */
  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  async get(partition: string, key: string, { signal }: { signal?: AbortSignal } = {}): Promise<Row | undefined> {
    signal?.throwIfAborted();
    this.requests += 1;
    const stored = this.#partitions.get(partition)?.get(key);
    return stored && toRow(key, stored);
  }

  async *range(partition: string, from: string, before: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    options.signal?.throwIfAborted();
    const fits = options.filter === undefined ? () => true : parseFilter(options.filter);
    const rows = [...(this.#partitions.get(partition) ?? [])]
      .filter(([key, { columns }]) => key >= from && key < before && fits(columns))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, options.top);
    this.requests += Math.max(1, Math.ceil(rows.length / 1000));
    for (const [key, stored] of rows) yield toRow(key, stored);
  }

  prefix(partition: string, prefix: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    return this.range(partition, prefix, prefixEnd(prefix), options);
  }

  async write(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    await this.onWrite(partition, writes);
    this.requests += 1;
    const rows = this.#partitions.get(partition) ?? new Map<string, Stored>();
    this.#partitions.set(partition, rows);
    for (const write of writes) check(write, rows.get(write.key));
    return writes.map((write) => {
      if (write.kind === 'delete') {
        rows.delete(write.key);
        return '';
      }
      this.#writes += 1;
      const kept = write.kind === 'merge' ? rows.get(write.key)?.columns : {};
      const etag = `etag ${this.#writes}`;
      rows.set(write.key, { etag, columns: { ...kept, ...definedOnly(write.columns) }, writtenAt: this.#now() });
      return etag;
    });
  }

  /** At once. */
  async writeSoon(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    return await this.write(partition, writes);
  }

  endWaiting(): void {}

  async writeAll(partition: string, writes: readonly RowWrite[]): Promise<void> {
    for (const write of writes) await this.write(partition, [write]);
  }

  async deleteEach(partition: string, rows: Parameters<Rows['deleteEach']>[1]): Promise<void> {
    for (const row of rows) {
      await this.write(partition, [{ kind: 'delete', ...row }]).catch((error: unknown) => {
        if (!(error instanceof RowConflict)) throw error;
      });
    }
  }

  /** Keys of a partition that begin with `prefix`, in order. */
  keys(partition: string, prefix = ''): readonly string[] {
    return [...(this.#partitions.get(partition) ?? new Map<string, Stored>()).keys()]
      .filter((key) => key.startsWith(prefix))
      .sort();
  }
}

function toRow(key: string, { etag, columns, writtenAt }: Stored): Row {
  return { key, etag, columns: { ...columns }, writtenAt };
}

function check(write: RowWrite, stored: Stored | undefined): void {
  switch (write.kind) {
    case 'put':
      return;
    case 'insert':
      if (stored) throw new RowConflict('exists');
      return;
    default:
      if (!stored) throw new RowConflict('missing');
      if (write.etag !== undefined && write.etag !== stored.etag) throw new RowConflict('changed');
  }
}

function definedOnly(columns: object): Values {
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

type Condition = (columns: Values) => boolean;

const comparisons: Readonly<Record<string, (a: number | string, b: number | string) => boolean>> = {
  eq: (a, b) => a === b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
};

/** An OData filter of comparisons, `and`, `or` and brackets. A row without the column never fits, as in storage. */
function parseFilter(filter: string): Condition {
  const tokens = filter.match(/'(?:[^']|'')*'|[()]|[^\s()]+/g) ?? [];
  const next = () => tokens.shift() ?? '';
  const any = (): Condition => {
    const parts = [all()];
    while (tokens[0] === 'or') {
      next();
      parts.push(all());
    }
    return (columns) => parts.some((part) => part(columns));
  };
  const all = (): Condition => {
    const parts = [one()];
    while (tokens[0] === 'and') {
      next();
      parts.push(one());
    }
    return (columns) => parts.every((part) => part(columns));
  };
  const one = (): Condition => {
    const first = next();
    if (first === '(') {
      const inner = any();
      if (next() !== ')') throw new Error(`A bracket stays open in: ${filter}`);
      return inner;
    }
    const compare = comparisons[next()];
    const literal = next();
    if (!compare || literal === '') throw new Error(`No filter that is understood: ${filter}`);
    const value = literal.startsWith("'") ? literal.slice(1, -1).replaceAll("''", "'") : Number(literal);
    return (columns) => {
      const column = columns[first];
      return typeof column === typeof value && compare(column as number | string, value);
    };
  };
  const condition = any();
  if (tokens.length > 0) throw new Error(`No filter that is understood: ${filter}`);
  return condition;
}
