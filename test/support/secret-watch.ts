import { TableClient, TableServiceClient } from '@azure/data-tables';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { formsOf } from './storage-files.ts';

/** Shorter ones, or words that occur anyway, could not be searched for. */
const shortestSecret = 12;

/** Larger answers and blobs are mails, which nobody but their sender writes. */
const largestSearched = 1 << 20;

/** Blobs searched in each container, the first by name; the others were written by the same code. */
const blobsSearched = 200;

/** An access token of Entra ID, whoever it was issued to. */
const token = /eyJ[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}/;

/**
 * Looks for every secret of a test wherever the service writes: answers, log, tables, blobs, queues. What it finds it
 * names by place; never the secret.
 */
export class SecretWatch {
  readonly #forms = new Map<string, readonly string[]>();
  readonly #found = new Set<string>();

  add(secret: string): void {
    if (secret.length < shortestSecret) {
      throw new Error('A test secret must have 12 characters or more, so that it can be searched for');
    }
    this.#forms.set(secret, formsOf(secret));
  }

  look(place: string, text: Buffer | string): void {
    if (text.length > largestSearched) return;
    const plain = typeof text === 'string' ? text : text.toString('latin1');
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    const seen = [...this.#forms.values()].flat().some((form) => bytes.includes(form)) || token.test(plain);
    if (seen) this.#found.add(place);
  }

  /** Searches what a functions process has left in storage. */
  async searchStorage(connectionString: string): Promise<void> {
    await Promise.all([
      this.#searchTables(connectionString),
      this.#searchBlobs(connectionString),
      this.#searchQueues(connectionString),
    ]);
  }

  async #searchTables(connectionString: string): Promise<void> {
    const options = { allowInsecureConnection: true };
    for await (const { name = '' } of TableServiceClient.fromConnectionString(connectionString, options).listTables()) {
      const table = TableClient.fromConnectionString(connectionString, name, options);
      for await (const row of table.listEntities()) {
        this.look(`table ${name} ${row.partitionKey}/${row.rowKey}`, JSON.stringify(row));
      }
    }
  }

  async #searchBlobs(connectionString: string): Promise<void> {
    const service = BlobServiceClient.fromConnectionString(connectionString);
    for await (const { name } of service.listContainers()) {
      // The host keeps its own keys there.
      if (name.startsWith('azure-webjobs-')) continue;
      await this.#searchContainer(service.getContainerClient(name));
    }
  }

  async #searchContainer(container: ContainerClient): Promise<void> {
    const names: string[] = [];
    for await (const { name, properties } of container.listBlobsFlat()) {
      if ((properties.contentLength ?? 0) <= largestSearched) names.push(name);
      if (names.length >= blobsSearched) break;
    }
    for (let from = 0; from < names.length; from += 16) {
      await Promise.all(
        names.slice(from, from + 16).map(async (name) => {
          const bytes = await container.getBlobClient(name).downloadToBuffer();
          this.look(`blob ${container.containerName}/${name}`, bytes);
        }),
      );
    }
  }

  async #searchQueues(connectionString: string): Promise<void> {
    const service = QueueServiceClient.fromConnectionString(connectionString);
    for await (const { name } of service.listQueues()) {
      const { peekedMessageItems } = await service.getQueueClient(name).peekMessages({ numberOfMessages: 32 });
      for (const { messageText } of peekedMessageItems) {
        this.look(`queue ${name}`, Buffer.from(messageText, 'base64'));
      }
    }
  }

  /** Throws where a secret was seen, naming the places. */
  verdict(): void {
    if (this.#found.size > 0) throw new Error(`A secret was seen in: ${[...this.#found].slice(0, 20).join(', ')}`);
  }
}
