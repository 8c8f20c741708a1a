import type { TableClient } from '@azure/data-tables';
import { LaterGroups } from './later-groups.ts';
import { fittingGroups, type Group, maxEntitiesPerTransaction, newGroup } from './row-groups.ts';
import { odataText, prefixEnd } from './row-ranges.ts';
import { type Row, RowConflict, type RowWrite } from './row-types.ts';
import { storageStatus } from './storage.ts';
import { toRow, writeIdOf } from './table-entities.ts';
import { submit } from './table-requests.ts';
import { TransactionsUnderWay } from './transactions-under-way.ts';

export { jsonColumn, jsonColumns, jsonOf } from './row-json.ts';
export { odataText, prefixEnd } from './row-ranges.ts';
export { type Column, type Columns, ignoreConflict, type Row, RowConflict, type RowWrite } from './row-types.ts';

/** Which rows of a range are read, and which of their columns. */
export interface RangeOptions {
  readonly signal?: AbortSignal;
  /** OData condition on columns, added to the range. */
  readonly filter?: string;
  readonly select?: readonly string[];
  /** Rows at most. */
  readonly top?: number;
}

/** An etag that no row has. It stands for a row that we wrote and that somebody else has written since. */
const etagOfNone = 'W/"datetime\'1601-01-01T00%3A00%3A00.0000000Z\'"';

/**
 * One table of Azure Table storage. Rows are read by key and by range, and written in groups: a group is written whole or
 * not at all.
 *
 * Groups for one partition that come while a transaction is under way share the next transaction, since transactions are
 * what storage costs. One with a large group, which little could join, keeps nobody waiting and is not kept waiting, unless
 * both name the same row. A group never fails because of another one in its transaction. Nothing is said of the order in which two groups
 * are written: whoever needs one waits for the answer to the first.
 *
 * The SDK repeats a write whose answer was lost, and the repetition then conflicts with the first try. So each group
 * writes an id of its own into its rows (`writeId`). After a repetition a conflict is checked against that id: callers get
 * a conflict only for what others wrote.
 */
export class RowTable {
  readonly #client: () => Promise<TableClient>;
  readonly #pending = new Map<string, Group[]>();
  /** Partitions with groups of this turn of the event loop. */
  readonly #coming = new Set<string>();
  readonly #underWay = new TransactionsUnderWay();
  readonly #later = new LaterGroups((partition, groups) => this.#write(partition, groups));

  constructor(client: () => Promise<TableClient>) {
    this.#client = client;
  }

  /** One row; undefined if there is none. */
  async get(partition: string, key: string, options: { signal?: AbortSignal } = {}): Promise<Row | undefined> {
    const entity = await this.#entity(partition, key, options);
    return entity && toRow(entity);
  }

  /** Rows with `from <= key < before`, in the order of their keys, read page by page. */
  async *range(partition: string, from: string, before: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    const client = await this.#client();
    let filter = `PartitionKey eq ${odataText(partition)} and RowKey ge ${odataText(from)} and RowKey lt ${odataText(before)}`;
    if (options.filter) {
      filter += ` and (${options.filter})`;
    }
    let left = options.top ?? Number.POSITIVE_INFINITY;
    if (left <= 0) return;
    const pages = client
      .listEntities({
        queryOptions: { filter, ...(options.select ? { select: ['RowKey', ...options.select] } : {}) },
        ...(options.signal ? { abortSignal: options.signal } : {}),
      })
      .byPage({ maxPageSize: Math.min(1000, left) });
    for await (const page of pages) {
      for (const entity of page) {
        if (left <= 0) {
          return;
        }
        left -= 1;
        yield toRow(entity);
      }
      if (left <= 0) {
        return;
      }
    }
  }

  /** Rows whose key begins with `prefix`. */
  prefix(partition: string, prefix: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    return this.range(partition, prefix, prefixEnd(prefix), options);
  }

  /**
   * Writes a group of rows, whole or not at all: at most 100 rows of one partition, each named once. Answers the new etags
   * in the order of the writes (empty for a delete). Throws RowConflict if a condition did not hold.
   */
  write(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    if (writes.length === 0) {
      return Promise.resolve([]);
    }
    return new Promise((resolve, reject) => this.#write(partition, [newGroup(writes, { resolve, reject })]));
  }

  /**
   * As `write`, for what nobody waits for: it goes with the next transaction of its partition, and costs none of its own
   * where one comes within `withinMs`. A process that ends before has not written it.
   */
  writeSoon(partition: string, writes: readonly RowWrite[], withinMs: number): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#later.add(partition, newGroup(writes, { resolve, reject }), withinMs);
    });
  }

  /** Writes at once what `writeSoon` still keeps back. */
  endWaiting(): void {
    this.#later.endAll();
  }

  /** Writes any number of rows in groups of 100. Each group is written whole or not at all, all of them together are not. */
  async writeAll(partition: string, writes: readonly RowWrite[]): Promise<void> {
    for (let from = 0; from < writes.length; from += maxEntitiesPerTransaction) {
      await this.write(partition, writes.slice(from, from + maxEntitiesPerTransaction));
    }
  }

  /** Deletes any number of rows, each by itself. A row that is gone, or has another etag than given, is left alone. */
  async deleteEach(
    partition: string,
    rows: readonly { readonly key: string; readonly etag?: string }[],
  ): Promise<void> {
    for (let from = 0; from < rows.length; from += maxEntitiesPerTransaction) {
      const some = rows.slice(from, from + maxEntitiesPerTransaction);
      // Groups of the same turn share a transaction.
      const results = await Promise.allSettled(
        some.map(({ key, etag }) =>
          this.write(partition, [{ kind: 'delete', key, ...(etag === undefined ? {} : { etag }) }]),
        ),
      );
      for (const result of results) {
        if (result.status === 'rejected' && !(result.reason instanceof RowConflict)) {
          throw result.reason;
        }
      }
    }
  }

  async #entity(partition: string, key: string, options: { signal?: AbortSignal } = {}) {
    const client = await this.#client();
    try {
      return await client.getEntity(partition, key, options.signal ? { abortSignal: options.signal } : {});
    } catch (error) {
      if (storageStatus(error) === 404) {
        return undefined;
      }
      throw error;
    }
  }

  #write(partition: string, groups: readonly Group[]): void {
    const pending = this.#pending.get(partition);
    if (pending) pending.push(...groups);
    else this.#pending.set(partition, [...groups]);
    if (this.#coming.has(partition)) return;
    this.#coming.add(partition);
    // Callers of the same turn of the event loop share a transaction.
    queueMicrotask(() => {
      this.#coming.delete(partition);
      this.#writePending(partition);
    });
  }

  /** Begins what may be begun now; it goes on when one of them has ended. */
  #writePending(partition: string): void {
    for (let groups = this.#nextGroups(partition); groups.length > 0; groups = this.#nextGroups(partition)) {
      const end = this.#underWay.begin(partition, groups);
      void this.#writeGroups(partition, groups).then(() => {
        end();
        this.#writePending(partition);
      });
    }
  }

  /** The next groups that fit one transaction; none where they wait for one under way. */
  #nextGroups(partition: string): readonly Group[] {
    const pending = this.#pending.get(partition) ?? [];
    const fitting = fittingGroups(pending);
    if (fitting === 0 || this.#underWay.keepWaiting(partition, pending.slice(0, fitting))) return [];
    const groups = pending.splice(0, fitting);
    if (pending.length === 0) {
      this.#pending.delete(partition);
    }
    return this.#underWay.has(partition) ? groups : [...groups, ...this.#later.takeFitting(partition, groups)];
  }

  /**
   * Writes groups in one transaction. Never rejects. If it fails, each group is written on its own: the failure may be the
   * conflict or the refusal (400, 413) of a single group, the answer may be lost, or storage may be away. After two groups
   * in a row failed for no reason of their own, storage is away, and the others fail too.
   */
  async #writeGroups(partition: string, groups: readonly Group[]): Promise<void> {
    let client: TableClient;
    try {
      client = await this.#client();
    } catch (error) {
      for (const group of groups) group.reject(error);
      return;
    }
    let repeated = false;
    if (groups.length > 1) {
      const submitted = await submit(client, groups.flatMap(sentWrites(partition)));
      if (submitted.ok) {
        let offset = 0;
        for (const group of groups) {
          group.resolve(submitted.etags.slice(offset, offset + group.writes.length));
          offset += group.writes.length;
        }
        return;
      }
      repeated = submitted.repeated || isStorageTrouble(submitted.error);
    }
    let failed = 0;
    let last: unknown;
    for (const group of groups) {
      if (failed === 2) {
        group.reject(last);
        continue;
      }
      last = await this.#writeGroup(client, partition, group, repeated);
      failed = last !== undefined && isStorageTrouble(last) ? failed + 1 : 0;
    }
  }

  /** Writes one group and settles its promise. `repeated`: it may have been written already. Answers the error, if any. */
  async #writeGroup(client: TableClient, partition: string, group: Group, repeated: boolean): Promise<unknown> {
    const submitted = await submit(client, sentWrites(partition)(group));
    if (submitted.ok) {
      group.resolve(submitted.etags);
      return undefined;
    }
    const error = conflictOf(submitted.error, group.writes);
    const mayBeOurs = repeated || submitted.repeated || isStorageTrouble(submitted.error);
    const etags = mayBeOurs ? await this.#etagsIfOurs(partition, group, error).catch(() => undefined) : undefined;
    if (etags) {
      group.resolve(etags);
      return undefined;
    }
    group.reject(error);
    return error;
  }

  /** The etags of a group that was written although it seemed to fail; undefined if it was not written. */
  async #etagsIfOurs(partition: string, group: Group, error: unknown): Promise<readonly string[] | undefined> {
    const { writes, writeId } = group;
    const entities = await Promise.all(writes.map(({ key }) => this.#entity(partition, key)));
    if (writes.every(({ kind }) => kind === 'delete')) {
      // A deleted row has no id any more. All rows are gone, as they were to be.
      const gone = error instanceof RowConflict && entities.every((entity) => entity === undefined);
      return gone ? writes.map(() => '') : undefined;
    }
    const isOurs = entities.map((entity) => entity !== undefined && writeIdOf(entity) === writeId);
    // A group is written whole: one row proves it for all.
    if (!isOurs.includes(true)) {
      return undefined;
    }
    return writes.map(({ kind }, index) => {
      if (kind === 'delete') return '';
      const entity = entities[index];
      return isOurs[index] && entity ? entity.etag : etagOfNone;
    });
  }
}

/** Rows as they are used, wherever they are kept. */
export type Rows = Pick<RowTable, keyof RowTable>;

const sentWrites = (partition: string) => (group: Group) =>
  group.writes.map((write) => ({ partition, write, writeId: group.writeId }));

/** Whether an error says nothing about the writes themselves. They may even have been made. */
function isStorageTrouble(error: unknown): boolean {
  if (error instanceof RowConflict) {
    return false;
  }
  const status = storageStatus(error);
  return status === undefined || status >= 500 || [401, 403, 408, 429].includes(status);
}

function conflictOf(error: unknown, writes: readonly RowWrite[]): unknown {
  switch (storageStatus(error)) {
    case 409:
      return new RowConflict('exists');
    case 412:
      return new RowConflict('changed');
    case 404:
      // A missing row, unless nothing in the group needs one to exist.
      return writes.some((write) => write.kind !== 'insert' && write.kind !== 'put')
        ? new RowConflict('missing')
        : error;
    default:
      return error;
  }
}
