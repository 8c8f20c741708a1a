import { TableClient, TableServiceClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { inject } from 'vitest';
import type { SharedAzurite } from './one-azurite.ts';

export type Azurite = SharedAzurite & { stop(): Promise<void> };

/** Stands in for `startAzurite`: the one that is there, as empty as a new one. Suites run one after the other. */
export async function startAzurite(): Promise<Azurite> {
  const shared = inject('azurite');
  const { connectionString } = shared;
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  for await (const { name } of blobs.listContainers()) await blobs.deleteContainer(name);
  const queues = QueueServiceClient.fromConnectionString(connectionString);
  for await (const { name } of queues.listQueues()) await queues.deleteQueue(name);
  const tables = TableServiceClient.fromConnectionString(connectionString, { allowInsecureConnection: true });
  for await (const { name = '' } of tables.listTables()) {
    await TableClient.fromConnectionString(connectionString, name, { allowInsecureConnection: true }).deleteTable();
  }
  return { ...shared, stop: async () => undefined };
}
