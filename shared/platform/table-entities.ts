import type { TableClient, TransactionAction } from '@azure/data-tables';
import type { Column, Row, RowWrite } from './row-types.ts';

/** Column that says which group of writes a row was written by last. */
const writeIdColumn = 'writeId';

/** What storage or this layer adds to a row. */
const ownProperties = new Set(['partitionKey', 'rowKey', 'etag', 'timestamp', 'odata.metadata', writeIdColumn]);

/** An entity as the SDK reads it. */
export function toRow(entity: Record<string, unknown>): Row {
  const columns: Record<string, Column> = {};
  for (const [name, value] of Object.entries(entity)) {
    if (
      !ownProperties.has(name) &&
      (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    ) {
      columns[name] = value;
    }
  }
  const { rowKey, etag, timestamp } = entity;
  const writtenAt = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  return {
    key: typeof rowKey === 'string' ? rowKey : '',
    etag: typeof etag === 'string' ? etag : '',
    columns,
    ...(Number.isNaN(writtenAt) ? {} : { writtenAt }),
  };
}

/** The group of writes that an entity was written by last; undefined: by something else. */
export function writeIdOf(entity: Record<string, unknown>): string | undefined {
  const writeId = entity[writeIdColumn];
  return typeof writeId === 'string' ? writeId : undefined;
}

/** A write as it is sent: which partition, and by which group. */
export interface SentWrite {
  readonly partition: string;
  readonly write: RowWrite;
  readonly writeId: string;
}

function toEntity({ partition, writeId }: SentWrite, write: Exclude<RowWrite, { kind: 'delete' }>) {
  const entity: { partitionKey: string; rowKey: string; [column: string]: unknown } = {
    partitionKey: partition,
    rowKey: write.key,
    [writeIdColumn]: writeId,
  };
  for (const [name, value] of Object.entries(write.columns)) {
    if (value === undefined) {
      continue;
    }
    // The SDK writes a whole number as Int32 and refuses larger ones: milliseconds go as doubles.
    entity[name] = typeof value === 'number' ? { type: 'Double', value: String(value) } : value;
  }
  return entity;
}

/** A write as part of a transaction. The etag of a delete is not in it: the SDK has no place for one. */
export function toAction(sent: SentWrite): TransactionAction {
  const { partition, write } = sent;
  switch (write.kind) {
    case 'insert':
      return ['create', toEntity(sent, write)];
    case 'put':
      return ['upsert', toEntity(sent, write), 'Replace'];
    case 'replace':
      return ['update', toEntity(sent, write), 'Replace', { etag: write.etag ?? '*' }];
    case 'merge':
      return ['update', toEntity(sent, write), 'Merge', { etag: write.etag ?? '*' }];
    case 'delete':
      return ['delete', { partitionKey: partition, rowKey: write.key }];
  }
}

/** A write on its own; answers the new etag, empty for a delete. */
export async function submitOne(client: TableClient, sent: SentWrite): Promise<string> {
  const { partition, write } = sent;
  switch (write.kind) {
    case 'insert':
      return (await client.createEntity(toEntity(sent, write))).etag ?? '';
    case 'put':
      return (await client.upsertEntity(toEntity(sent, write), 'Replace')).etag ?? '';
    case 'replace':
    case 'merge': {
      const mode = write.kind === 'merge' ? 'Merge' : 'Replace';
      return (await client.updateEntity(toEntity(sent, write), mode, { etag: write.etag ?? '*' })).etag ?? '';
    }
    case 'delete':
      await client.deleteEntity(partition, write.key, { etag: write.etag ?? '*' });
      return '';
  }
}
