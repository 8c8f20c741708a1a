import type { TableClient, TransactionAction } from '@azure/data-tables';
import type { Column, Row, RowWrite } from './rows.ts';

/** An entity as the SDK reads it. */
export function toRow(entity: Record<string, unknown>): Row {
  const columns: Record<string, Column> = {};
  for (const [name, value] of Object.entries(entity)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      columns[name] = value;
    }
  }
  const { rowKey, etag } = entity;
  return { key: typeof rowKey === 'string' ? rowKey : '', etag: typeof etag === 'string' ? etag : '', columns };
}

function toEntity(partition: string, write: Exclude<RowWrite, { kind: 'delete' }>) {
  const entity: { partitionKey: string; rowKey: string; [column: string]: unknown } = {
    partitionKey: partition,
    rowKey: write.key,
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

/** A write as part of a transaction. */
export function toAction(partition: string, write: RowWrite): TransactionAction {
  switch (write.kind) {
    case 'insert':
      return ['create', toEntity(partition, write)];
    case 'put':
      return ['upsert', toEntity(partition, write), 'Replace'];
    case 'replace':
      return ['update', toEntity(partition, write), 'Replace', { etag: write.etag ?? '*' }];
    case 'merge':
      return ['update', toEntity(partition, write), 'Merge', { etag: write.etag ?? '*' }];
    case 'delete':
      return ['delete', { partitionKey: partition, rowKey: write.key }];
  }
}

/** A write on its own; answers the new etag, empty for a delete. */
export async function submitOne(client: TableClient, partition: string, write: RowWrite): Promise<string> {
  switch (write.kind) {
    case 'insert':
      return (await client.createEntity(toEntity(partition, write))).etag ?? '';
    case 'put':
      return (await client.upsertEntity(toEntity(partition, write), 'Replace')).etag ?? '';
    case 'replace':
    case 'merge': {
      const mode = write.kind === 'merge' ? 'Merge' : 'Replace';
      return (await client.updateEntity(toEntity(partition, write), mode, { etag: write.etag ?? '*' })).etag ?? '';
    }
    case 'delete':
      await client.deleteEntity(partition, write.key);
      return '';
  }
}
