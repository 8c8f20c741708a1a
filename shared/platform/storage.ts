import type { TableClient } from '@azure/data-tables';
import type { TokenCredential } from '@azure/identity';
import type { ContainerClient } from '@azure/storage-blob';
import type { QueueClient } from '@azure/storage-queue';
import type { StorageSettings } from './settings.ts';
import { boundTries, pipelineOf, type StorageSilence, storageSilence } from './storage-tries.ts';

/** Every container, queue and table Mailroom uses; the deployment declares the same ones. */
export const containerNames = {
  assets: 'assets',
  outbox: 'outbox',
  quarantine: 'quarantine',
  uploads: 'uploads',
} as const;
/** The queues that Mailroom uses. */
export const queueNames = {
  send: 'mail-send',
  import: 'mail-import',
  events: 'mail-events',
  webhooks: 'mail-webhooks',
} as const;
/** Where the host puts what it gave up of a queue with a trigger. */
export const poisonNames = {
  send: 'mail-send-poison',
  import: 'mail-import-poison',
  webhooks: 'mail-webhooks-poison',
} as const;
/** The tables that Mailroom uses. */
export const tableNames = {
  accounts: 'accounts',
  events: 'events',
  inbox: 'inbox',
  limits: 'limits',
  outbox: 'outbox',
} as const;

export type ContainerName = (typeof containerNames)[keyof typeof containerNames];
export type PoisonQueueName = (typeof poisonNames)[keyof typeof poisonNames];
export type QueueName = (typeof queueNames)[keyof typeof queueNames] | PoisonQueueName;
export type TableName = (typeof tableNames)[keyof typeof tableNames];

/** Storage clients, one of each per process; each is made, and its resource created where absent, at its first use. */
export interface StorageClients {
  container(name: ContainerName): Promise<ContainerClient>;
  queue(name: QueueName): Promise<QueueClient>;
  table(name: TableName): Promise<TableClient>;
}

/** Remembers each name's client; a failed first use is not remembered. */
function once<N extends string, T>(make: (name: N) => Promise<T>): (name: N) => Promise<T> {
  const made = new Map<N, Promise<T>>();
  return (name) => {
    const known = made.get(name);
    if (known) {
      return known;
    }
    const fresh = make(name);
    made.set(name, fresh);
    fresh.catch(() => made.delete(name));
    return fresh;
  };
}

/** Clients of the storage account, each made at its first use. No request waits for longer than `silence` says. */
export function storageClients(
  settings: StorageSettings,
  credential: () => Promise<TokenCredential>,
  silence: StorageSilence = storageSilence,
): StorageClients {
  return {
    container: once(async (name) => {
      const { BlobServiceClient, RestError } = await import('@azure/storage-blob');
      const service =
        settings.kind === 'connectionString'
          ? BlobServiceClient.fromConnectionString(settings.connectionString)
          : new BlobServiceClient(settings.blob, await credential());
      boundTries(pipelineOf(service), silence, RestError);
      const client = service.getContainerClient(name);
      await client.createIfNotExists();
      return client;
    }),
    queue: once(async (name) => {
      const { QueueServiceClient, RestError } = await import('@azure/storage-queue');
      const service =
        settings.kind === 'connectionString'
          ? QueueServiceClient.fromConnectionString(settings.connectionString)
          : new QueueServiceClient(settings.queue, await credential());
      boundTries(pipelineOf(service), silence, RestError);
      const client = service.getQueueClient(name);
      await client.createIfNotExists();
      return client;
    }),
    table: once(async (name) => {
      const { RestError, TableClient } = await import('@azure/data-tables');
      const client =
        settings.kind === 'connectionString'
          ? TableClient.fromConnectionString(settings.connectionString, name, {
              allowInsecureConnection:
                /http:\/\//i.test(settings.connectionString) ||
                /UseDevelopmentStorage=true/i.test(settings.connectionString),
            })
          : new TableClient(settings.table, name, await credential(), {
              allowInsecureConnection: settings.table.startsWith('http://'),
            });
      boundTries(client.pipeline, silence, RestError);
      // Answers quietly when the table exists.
      await client.createTable();
      return client;
    }),
  };
}

/** HTTP status of a storage SDK error, if it is one. */
export function storageStatus(error: unknown): number | undefined {
  if (typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number') {
    return error.statusCode;
  }
  return undefined;
}
