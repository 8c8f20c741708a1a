import type { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { jsonColumns, jsonOf, RowConflict, type RowTable } from '../../platform/rows.ts';

/** Where the limits of one account are kept: one row for each, written on condition only. */
export interface LimitRows {
  readonly table: RowTable;
  /** The account. */
  readonly partition: string;
  /** Clocks of different processes are compared: see the margins in `slot-row.ts` and `rate-row.ts`. */
  readonly clock: Clock;
  read<T>(key: string, schema: z.ZodType<T>, absent: T): Promise<LimitRow<T>>;
}

export interface LimitRow<T> {
  readonly value: T;
  /** Undefined where there is no such row yet. */
  readonly etag: string | undefined;
}

/** Conflicts with other processes that one write bears; then whoever asks comes again. */
export const maxTries = 8;

/** A count that no row can give: what the last write came to is not known. */
export const unknown = -1;

/** Storage that is away for longer is none: whoever asks comes again. */
const readLimitMs = 10_000;

export function limitRows(table: RowTable, partition: string, clock: Clock): LimitRows {
  return {
    table,
    partition,
    clock,
    async read(key, schema, absent) {
      const row = await table.get(partition, key, { signal: AbortSignal.timeout(readLimitMs) });
      return row ? { value: schema.parse(jsonOf(row)), etag: row.etag } : { value: absent, etag: undefined };
    },
  };
}

/**
 * Writes a row as it was decided from the one that was read. Answers its etag, or undefined where another process was
 * faster, or the write was carried out and its answer lost: then it is read and decided again, which does no harm, since
 * each process writes what it has as a whole.
 */
export async function writeRow(
  { table, partition }: LimitRows,
  key: string,
  value: unknown,
  before: LimitRow<unknown>,
): Promise<string | undefined> {
  const columns = jsonColumns(value);
  try {
    const [etag] = await table.write(partition, [
      before.etag === undefined
        ? { kind: 'insert', key, columns }
        : { kind: 'replace', key, columns, etag: before.etag },
    ]);
    return etag;
  } catch (error) {
    if (error instanceof RowConflict) return undefined;
    throw error;
  }
}
