import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueClient } from '@azure/storage-queue';

/** What `writeThings` leaves, as `readThings` answers it. */
export const writtenThings = ['hello', ['hello'], 'hello'];

function clients(connectionString: string) {
  return {
    container: BlobServiceClient.fromConnectionString(connectionString).getContainerClient('things'),
    queue: new QueueClient(connectionString, 'things'),
    table: TableClient.fromConnectionString(connectionString, 'things', { allowInsecureConnection: true }),
  };
}

/** One blob, one queue message and one entity. */
export async function writeThings(connectionString: string): Promise<void> {
  const { container, queue, table } = clients(connectionString);
  await Promise.all([container.create(), queue.create(), table.createTable()]);
  await container.getBlockBlobClient('a').upload('hello', 5);
  await queue.sendMessage('hello');
  await table.createEntity({ partitionKey: 'p', rowKey: 'r', text: 'hello' });
}

export async function readThings(connectionString: string): Promise<readonly unknown[]> {
  const { container, queue, table } = clients(connectionString);
  const blob = await container.getBlockBlobClient('a').downloadToBuffer();
  const { peekedMessageItems } = await queue.peekMessages();
  const entity = await table.getEntity<{ text: string }>('p', 'r');
  return [blob.toString(), peekedMessageItems.map((item) => item.messageText), entity.text];
}
