import type { TableClient } from '@azure/data-tables';
import { storageStatus } from './storage.ts';
import { submitOne, toAction, toRow } from './table-entities.ts';

/** A column's value. Dates are ISO text or milliseconds as a number, so that they sort and compare. */
export type Column = string | number | boolean;

export interface Row {
  readonly key: string;
  readonly etag: string;
  readonly columns: Readonly<Record<string, Column | undefined>>;
}

/**
 * One write. `insert` fails where the row exists; `replace` and `merge` fail where it does not, or where its etag is
 * another than the one given; `delete` fails where it does not exist (the SDK's transactions drop an etag on a delete,
 * so none can be given); `put` writes in any case.
 */
export type RowWrite =
  | {
      readonly kind: 'insert' | 'put';
      readonly key: string;
      readonly columns: Readonly<Record<string, Column | undefined>>;
    }
  | {
      readonly kind: 'replace' | 'merge';
      readonly key: string;
      readonly columns: Readonly<Record<string, Column | undefined>>;
      readonly etag?: string;
    }
  | { readonly kind: 'delete'; readonly key: string };

/**
 * A conditional write that did not hold. `exists`: an insert met a row; `changed`: the etag is another; `missing`: no
 * such row. Nothing of the group was written. Storage may have carried out a write whose answer was lost and that the
 * SDK then repeated: whoever gets one of these reads the row before it believes that somebody else was there.
 */
export class RowConflict extends Error {
  override readonly name = 'RowConflict';
  readonly reason: 'exists' | 'changed' | 'missing';
  constructor(reason: 'exists' | 'changed' | 'missing') {
    super(`Conditional write failed: ${reason}`);
    this.reason = reason;
  }
}

/** Entity-group transactions hold at most 100 entities and 4 MiB (Microsoft: "Performing entity group transactions"). */
const maxEntitiesPerTransaction = 100;
const maxBytesPerTransaction = 3_500_000;

/** Storage keeps at most 32 Ki UTF-16 units in one string property; longer texts are cut over several. */
const maxPropertyLength = 32_000;

/** Columns for a JSON document of any length up to the entity's 1 MiB: `json0`, `json1`, ... */
export function jsonColumns(document: unknown): Record<string, string> {
  // ASCII alone: a character cut in two between chunks of a request was seen to be lost in Azurite.
  const text = JSON.stringify(document).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const columns: Record<string, string> = {};
  for (let part = 0; part * maxPropertyLength < text.length; part += 1) {
    columns[`json${part}`] = text.slice(part * maxPropertyLength, (part + 1) * maxPropertyLength);
  }
  return columns;
}

/** The document that `jsonColumns` cut up; still to be parsed by a schema. */
export function jsonOf(row: Row): unknown {
  let text = '';
  for (let part = 0; ; part += 1) {
    const piece = row.columns[`json${part}`];
    if (typeof piece !== 'string') {
      break;
    }
    text += piece;
  }
  return text === '' ? undefined : JSON.parse(text);
}

interface Group {
  readonly writes: readonly RowWrite[];
  readonly bytes: number;
  resolve(etags: readonly string[]): void;
  reject(error: unknown): void;
}

function sizeOf(writes: readonly RowWrite[]): number {
  let bytes = 0;
  for (const write of writes) {
    bytes += 400;
    if (write.kind !== 'delete') {
      for (const value of Object.values(write.columns)) {
        bytes += typeof value === 'string' ? value.length * 2 : 16;
      }
    }
  }
  return bytes;
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

export interface RangeOptions {
  readonly signal?: AbortSignal;
  /** OData condition on columns, added to the range. */
  readonly filter?: string;
  readonly select?: readonly string[];
  /** Rows at most. */
  readonly top?: number;
}

/** Escapes a text for an OData string literal. */
export function odataText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * One table, read by point and by range, written in groups that are carried out whole or not at all. Groups written to
 * one partition while a transaction is under way are carried out together in the next one: storage transactions are
 * what a mail costs, so they are shared wherever callers overlap.
 */
export class RowTable {
  readonly #client: () => Promise<TableClient>;
  readonly #waiting = new Map<string, Group[]>();
  readonly #busy = new Set<string>();

  constructor(client: () => Promise<TableClient>) {
    this.#client = client;
  }

  async get(partition: string, key: string, options: { signal?: AbortSignal } = {}): Promise<Row | undefined> {
    const client = await this.#client();
    try {
      const entity = await client.getEntity(partition, key, options.signal ? { abortSignal: options.signal } : {});
      return toRow(entity);
    } catch (error) {
      if (storageStatus(error) === 404) {
        return undefined;
      }
      throw error;
    }
  }

  /** Rows with `from <= key < before`, in key order, as pages arrive. */
  async *range(partition: string, from: string, before: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    const client = await this.#client();
    let filter = `PartitionKey eq ${odataText(partition)} and RowKey ge ${odataText(from)} and RowKey lt ${odataText(before)}`;
    if (options.filter) {
      filter += ` and (${options.filter})`;
    }
    let left = options.top ?? Number.POSITIVE_INFINITY;
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
   * Carries out a group of writes, whole or not at all; answers the new etags in their order (empty for a delete).
   * At most 100 rows, each named once. Throws RowConflict where a condition did not hold.
   */
  write(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    if (writes.length === 0) {
      return Promise.resolve([]);
    }
    return new Promise((resolve, reject) => {
      const group: Group = { writes, bytes: sizeOf(writes), resolve, reject };
      const waiting = this.#waiting.get(partition);
      if (waiting) {
        waiting.push(group);
      } else {
        this.#waiting.set(partition, [group]);
      }
      if (!this.#busy.has(partition)) {
        void this.#drain(partition);
      }
    });
  }

  /** Writes any number of rows, each transaction as full as it may be: only for writes that need not stand together. */
  async writeAll(partition: string, writes: readonly RowWrite[]): Promise<void> {
    for (let from = 0; from < writes.length; from += maxEntitiesPerTransaction) {
      await this.write(partition, writes.slice(from, from + maxEntitiesPerTransaction));
    }
  }

  /** Deletes any number of rows that exist. */
  async deleteAll(partition: string, keys: readonly string[]): Promise<void> {
    await this.writeAll(
      partition,
      keys.map((key) => ({ kind: 'delete', key })),
    );
  }

  async #drain(partition: string): Promise<void> {
    this.#busy.add(partition);
    // Callers of the same turn of the event loop share the first transaction too.
    await Promise.resolve();
    for (let groups = this.#take(partition); groups.length > 0; groups = this.#take(partition)) {
      await this.#carryOut(partition, groups);
    }
    this.#busy.delete(partition);
  }

  /** The next groups that fit one transaction: no row may be named twice in one. */
  #take(partition: string): Group[] {
    const waiting = this.#waiting.get(partition);
    if (!waiting) {
      return [];
    }
    const keys = new Set<string>();
    let bytes = 0;
    let taken = 0;
    for (const group of waiting) {
      const fits =
        keys.size + group.writes.length <= maxEntitiesPerTransaction &&
        bytes + group.bytes <= maxBytesPerTransaction &&
        group.writes.every((write) => !keys.has(write.key));
      if (!fits && taken > 0) {
        break;
      }
      for (const write of group.writes) {
        keys.add(write.key);
      }
      bytes += group.bytes;
      taken += 1;
    }
    const groups = waiting.splice(0, taken);
    if (waiting.length === 0) {
      this.#waiting.delete(partition);
    }
    return groups;
  }

  async #carryOut(partition: string, groups: readonly Group[]): Promise<void> {
    try {
      const etags = await this.#submit(
        partition,
        groups.flatMap((group) => group.writes),
      );
      let offset = 0;
      for (const group of groups) {
        group.resolve(etags.slice(offset, offset + group.writes.length));
        offset += group.writes.length;
      }
    } catch (error) {
      const only = groups[0];
      if (groups.length === 1 && only) {
        only.reject(conflictOf(error, only.writes));
        return;
      }
      const status = storageStatus(error);
      if (status === 404 || status === 409 || status === 412) {
        // One group's condition failed and took the others with it: each again on its own.
        for (const group of groups) {
          await this.#carryOut(partition, [group]);
        }
        return;
      }
      for (const group of groups) {
        group.reject(error);
      }
    }
  }

  async #submit(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    const client = await this.#client();
    const only = writes[0];
    if (writes.length === 1 && only) {
      return [await submitOne(client, partition, only)];
    }
    const response = await client.submitTransaction(writes.map((write) => toAction(partition, write)));
    // Answers stand in the order of the operations; only inserts name their row.
    return writes.map((_, index) => response.subResponses[index]?.etag ?? '');
  }
}

/** The first key after every key that begins with `prefix`. */
export function prefixEnd(prefix: string): string {
  if (prefix === '') {
    return '\uffff';
  }
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
