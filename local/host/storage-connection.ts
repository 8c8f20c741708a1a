import type { TokenCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import type { Settings } from './settings-resolution.ts';

const DEFAULT_CONNECTION = 'AzureWebJobsStorage';

/** Storage of the connections the app names, one client per connection and service. */
export interface Storage {
  /** True when the host's own storage (AzureWebJobsStorage) is configured. */
  readonly hasDefault: boolean;
  /** @throws when the connection is not configured. */
  blobs(connection: string | undefined): Promise<BlobServiceClient>;
  queues(connection: string | undefined): Promise<QueueServiceClient>;
}

export type Connection =
  | { readonly kind: 'connectionString'; readonly value: string }
  | {
      readonly kind: 'identity';
      readonly blobUri: string | undefined;
      readonly queueUri: string | undefined;
      readonly credential: string | undefined;
      readonly clientId: string | undefined;
    };

/**
 * Finds the storage behind the name a binding gives as `connection`: setting `X`, then `AzureWebJobsX`, then a section
 * `X__accountName` or `X__queueServiceUri` and the like, with `X__credential` and `X__clientId` (Microsoft: "identity-
 * based connections"). An empty name is AzureWebJobsStorage.
 */
export function resolveConnection(name: string | undefined, settings: Settings): Connection | undefined {
  const wanted = name === undefined || name === '' ? DEFAULT_CONNECTION : name;
  const candidates = [wanted, `AzureWebJobs${wanted}`];
  for (const candidate of candidates) {
    const value = settings.get(candidate);
    if (value !== undefined && value !== '') return { kind: 'connectionString', value };
  }
  for (const candidate of candidates) {
    const account = settings.get(`${candidate}__accountName`);
    const uri = (service: string) =>
      settings.get(`${candidate}__${service}ServiceUri`) ??
      (account === undefined ? undefined : `https://${account}.${service}.core.windows.net`);
    const blobUri = uri('blob');
    const queueUri = uri('queue');
    if (blobUri !== undefined || queueUri !== undefined) {
      const credential = settings.get(`${candidate}__credential`);
      return { kind: 'identity', blobUri, queueUri, credential, clientId: settings.get(`${candidate}__clientId`) };
    }
  }
  return undefined;
}

/** The storage clients of the connections in the settings, one of each. */
export function createStorage(settings: Settings): Storage {
  const blobClients = new Map<string, Promise<BlobServiceClient>>();
  const queueClients = new Map<string, Promise<QueueServiceClient>>();

  function required(name: string | undefined): Connection {
    const connection = resolveConnection(name, settings);
    if (!connection) throw new Error(`the setting of connection "${name || DEFAULT_CONNECTION}" is missing`);
    return connection;
  }

  function missing(name: string | undefined, service: string): Error {
    return new Error(`connection "${name || DEFAULT_CONNECTION}" has no ${service}ServiceUri`);
  }

  async function blobs(name: string | undefined): Promise<BlobServiceClient> {
    const connection = required(name);
    if (connection.kind === 'connectionString') return BlobServiceClient.fromConnectionString(connection.value);
    if (connection.blobUri === undefined) throw missing(name, 'blob');
    return new BlobServiceClient(connection.blobUri, await credentialOf(connection, settings));
  }

  async function queues(name: string | undefined): Promise<QueueServiceClient> {
    const connection = required(name);
    if (connection.kind === 'connectionString') return QueueServiceClient.fromConnectionString(connection.value);
    if (connection.queueUri === undefined) throw missing(name, 'queue');
    return new QueueServiceClient(connection.queueUri, await credentialOf(connection, settings));
  }

  return {
    hasDefault: resolveConnection(undefined, settings) !== undefined,
    blobs: (name) => memoised(blobClients, name ?? '', () => blobs(name)),
    queues: (name) => memoised(queueClients, name ?? '', () => queues(name)),
  };
}

function memoised<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const made = make();
  cache.set(key, made);
  made.catch(() => cache.delete(key));
  return made;
}

/** Loaded only when needed: it is the slowest of the Azure packages to load. */
async function credentialOf(
  connection: Extract<Connection, { kind: 'identity' }>,
  settings: Settings,
): Promise<TokenCredential> {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity');
  const { clientId } = connection;
  if (connection.credential?.toLowerCase() === 'managedidentity') {
    return new ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
  }
  return new DefaultAzureCredential({
    ...(clientId === undefined ? {} : { managedIdentityClientId: clientId }),
    // A private authority is not known to Microsoft's instance discovery.
    ...(settings.get('AZURE_AUTHORITY_HOST') ? { disableInstanceDiscovery: true } : {}),
  });
}
