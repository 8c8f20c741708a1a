import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RestError, type TableClient, type TableEntity, type TransactionAction } from '@azure/data-tables';
import { z } from 'zod';

/** Rows of one transaction; all of one partition (Microsoft Learn, "Performing entity group transactions"). */
const maxRows = 100;
/** Longest transaction, in characters of JSON: well under the 4 MiB that the service takes. */
const maxCharacters = 1_500_000;

/** A row as a line of the backup: a property that JSON has no type for comes as `{ type, value }`. */
const rowSchema = z.looseObject({ partitionKey: z.string(), rowKey: z.string() });
export type BackupRow = z.output<typeof rowSchema>;

/** What a backup leaves out: the service's own properties, which are new in another table. */
const ownProperties = new Set(['etag', 'timestamp', 'odata.metadata']);

/** A property's value, whether JSON has its type or not. */
export function propertyOf(row: BackupRow, name: string): unknown {
  const property = row[name];
  return typeof property === 'object' && property !== null && 'value' in property ? property.value : property;
}

/**
 * Writes the wanted rows of a table to a file, a line of JSON each. The service lists rows by partition and row key; rows
 * that change meanwhile are in the file as they are met. Answers their number: none where there is no such table, since
 * a table is made when it is first needed.
 */
export async function exportTable(
  table: TableClient,
  file: string,
  wanted: (row: BackupRow) => boolean,
): Promise<number> {
  let count = 0;
  async function* lines() {
    for await (const entity of entitiesOf(table)) {
      const row = rowSchema.parse(
        Object.fromEntries(Object.entries(entity).filter(([name]) => !ownProperties.has(name))),
      );
      if (!wanted(row)) continue;
      count += 1;
      yield `${JSON.stringify(row)}\n`;
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  return count;
}

async function* entitiesOf(table: TableClient) {
  try {
    yield* table.listEntities({ disableTypeConversion: true });
  } catch (error) {
    if (!(error instanceof RestError && error.statusCode === 404)) throw error;
  }
}

export interface Restored {
  readonly inserted: number;
  /** Rows that are there already: they are newer, and stay. */
  readonly kept: number;
  readonly leftOut: readonly BackupRow[];
}

export interface RestoreOptions {
  readonly wanted: (row: BackupRow) => boolean;
  /** Writes nothing, and counts all wanted rows as inserted. */
  readonly dryRun: boolean;
}

/** Puts the rows of a file into a table where they are missing. Nothing that is there is overwritten. */
export async function restoreTable(table: TableClient, file: string, options: RestoreOptions): Promise<Restored> {
  const leftOut: BackupRow[] = [];
  let inserted = 0;
  let kept = 0;
  let group: BackupRow[] = [];
  let characters = 0;
  const flush = async () => {
    const rows = group;
    [group, characters] = [[], 0];
    if (rows.length === 0) return;
    const count = options.dryRun ? rows.length : await insert(table, rows);
    inserted += count;
    kept += rows.length - count;
  };
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === '') continue;
    const row = rowSchema.parse(JSON.parse(line));
    if (!options.wanted(row)) {
      leftOut.push(row);
      continue;
    }
    const full = group.length === maxRows || characters + line.length > maxCharacters;
    if (full || group[0]?.partitionKey !== row.partitionKey) await flush();
    group.push(row);
    characters += line.length;
  }
  await flush();
  return { inserted, kept, leftOut };
}

/** All rows at once where none is there, else one by one. Answers how many were inserted. */
async function insert(table: TableClient, rows: readonly BackupRow[]): Promise<number> {
  try {
    await table.submitTransaction(rows.map((row): TransactionAction => ['create', entityOf(row)]));
    return rows.length;
  } catch (error) {
    if (!isThere(error)) throw error;
  }
  let count = 0;
  for (const row of rows) {
    try {
      await table.createEntity(entityOf(row));
      count += 1;
    } catch (error) {
      if (!isThere(error)) throw error;
    }
  }
  return count;
}

const entityOf = (row: BackupRow): TableEntity => row;

const isThere = (error: unknown): boolean => error instanceof RestError && error.statusCode === 409;
