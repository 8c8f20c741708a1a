import type { z } from 'zod';
import type { Clock } from '../platform/clock.ts';
import { jsonColumns, jsonOf, RowConflict, type Rows } from '../platform/rows.ts';

/** The rows of one account's limits: one for each, written with conditions only. */
export interface LimitRows {
  readonly table: Pick<Rows, 'get' | 'write'>;
  /** The account. */
  readonly partition: string;
  /** Clocks of different processes are compared: see the margins in `slot-row.ts` and `rate-row.ts`. */
  readonly clock: Clock;
  read<T>(key: string, schema: z.ZodType<T>, absent: T): Promise<LimitRow<T>>;
}

/** The value of a limit's row as it was read. */
export interface LimitRow<T> {
  readonly value: T;
  /** Undefined where there is no such row yet. */
  readonly etag: string | undefined;
}

/** Conflicts with other processes after which a write gives up; the request is then answered with Unavailable. */
export const maxTries = 8;

/** A count that no row can have: the result of the last write is not known. */
export const unknown = -1;

/** Longest wait for storage, in ms. */
const readLimitMs = 10_000;

/** The rows of the account in `partition`. */
export function limitRows(table: LimitRows['table'], partition: string, clock: Clock): LimitRows {
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
 * faster: then it is read and decided again.
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
