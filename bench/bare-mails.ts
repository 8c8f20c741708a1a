import { randomUUID } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { type QueueClient, QueueServiceClient } from '@azure/storage-queue';

/** Storage of mails that are accepted and delivered bare, by the SDKs. */
export interface BareMails {
  readonly blobs: ContainerClient;
  readonly queue: QueueClient;
  readonly events: QueueClient;
  readonly rows: TableClient;
}

export const barePartition = 'bench';

/** Containers, queues and tables of that name, made where they are missing. */
export async function openBareMails(connectionString: string, name: string): Promise<BareMails> {
  const queues = QueueServiceClient.fromConnectionString(connectionString);
  const blobs = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(`bench-${name}`);
  const queue = queues.getQueueClient(`bench-${name}`);
  const events = queues.getQueueClient(`bench-${name}-events`);
  const rows = TableClient.fromConnectionString(connectionString, `bench${name}`, { allowInsecureConnection: true });
  await Promise.all([
    blobs.createIfNotExists(),
    queue.createIfNotExists(),
    events.createIfNotExists(),
    rows.createTable(),
  ]);
  return { blobs, queue, events, rows };
}

/**
 * The storage calls by which a mail is accepted, one after the other: its text as a blob, its rows in one entity group
 * transaction, its id on the queue. Nothing is parsed, composed or decided in between.
 */
export async function acceptBare({ blobs, queue, rows }: BareMails, text: Buffer, record: string): Promise<void> {
  const id = randomUUID();
  const row = (kind: string, columns: object = {}) => ({
    partitionKey: barePartition,
    rowKey: `${kind}:${id}`,
    ...columns,
  });
  const metadata = { accepted: Buffer.from(record).toString('base64') };
  await blobs.getBlockBlobClient(`bench/${id}.eml`).upload(text, text.length, { metadata });
  await rows.submitTransaction([
    ['create', row('m', { json0: record, status: 'queued', writeId: id })],
    ['create', row('o', { checkAt: 1.5, waitMs: 60_000.5, writeId: id })],
    ['create', row('t', { accepted: 1.5, writeId: id })],
    ['upsert', row('r', { writeId: id }), 'Replace'],
    ['upsert', row('h', { writeId: id }), 'Replace'],
  ]);
  const entry = Buffer.from(JSON.stringify({ id, accepted: id })).toString('base64');
  await queue.sendMessage(entry, { messageTimeToLive: -1, visibilityTimeout: 0 });
}

/** So many times the same work, so much of it at once. */
export async function repeat(count: number, atOnce: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
