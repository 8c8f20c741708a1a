import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { blobsContract } from '../contract/blobs.contract.ts';
import { MemoryBlobs } from './memory-blobs.ts';

describe('in memory', () => {
  const blobs = new MemoryBlobs();
  blobsContract(() => blobs.client);
});

describe('in a storage', () => {
  let azurite: Azurite;
  let container: ContainerClient;

  beforeAll(async () => {
    azurite = await startAzurite();
    container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('contract');
    await container.create();
  });
  afterAll(() => azurite?.stop());

  blobsContract(() => container);
});
