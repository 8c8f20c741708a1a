import { randomUUID } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { z } from 'zod';
import { serve } from './child.ts';

/**
 * The storage calls by which a mail is accepted, made bare with the SDKs, one after the other: its text as a blob, its
 * rows in one entity group transaction, its id on the queue. Nothing is parsed, composed or decided in between.
 */

export const bareAcceptInputSchema = z.object({
  connectionString: z.string(),
  callers: z.int(),
  /** Made first, not measured. */
  warmUp: z.int(),
  mails: z.int(),
  /** Bytes of the text, and characters of the record. */
  text: z.int(),
  record: z.int(),
});
export const bareAcceptResultSchema = z.object({
  /** Of each mail, in milliseconds. */
  took: z.array(z.number()),
});

serve(bareAcceptInputSchema, async (input): Promise<z.input<typeof bareAcceptResultSchema>> => {
  const { connectionString } = input;
  const blobs = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('bench-accept');
  const queue = QueueServiceClient.fromConnectionString(connectionString).getQueueClient('bench-accept');
  const rows = TableClient.fromConnectionString(connectionString, 'benchaccept', { allowInsecureConnection: true });
  await Promise.all([blobs.createIfNotExists(), queue.createIfNotExists(), rows.createTable()]);
  const text = Buffer.alloc(input.text, 'x');
  const json0 = 'x'.repeat(input.record);
  const metadata = { accepted: Buffer.from(json0).toString('base64') };
  const accept = async () => {
    const began = performance.now();
    const id = randomUUID();
    const row = (kind: string, columns: object = {}) => ({
      partitionKey: 'bench',
      rowKey: `${kind}:${id}`,
      ...columns,
    });
    await blobs.getBlockBlobClient(`bench/${id}.eml`).upload(text, text.length, { metadata });
    await rows.submitTransaction([
      ['create', row('m', { json0, status: 'queued', writeId: id })],
      ['create', row('o', { checkAt: 1.5, waitMs: 60_000.5, writeId: id })],
      ['create', row('t', { accepted: 1.5, writeId: id })],
      ['upsert', row('r', { writeId: id }), 'Replace'],
      ['upsert', row('h', { writeId: id }), 'Replace'],
    ]);
    const entry = Buffer.from(JSON.stringify({ id, accepted: id })).toString('base64');
    await queue.sendMessage(entry, { messageTimeToLive: -1, visibilityTimeout: 0 });
    return performance.now() - began;
  };
  const all = async (count: number) => {
    const took: number[] = [];
    let left = count;
    const caller = async () => {
      while (left > 0) {
        left -= 1;
        took.push(await accept());
      }
    };
    await Promise.all(Array.from({ length: input.callers }, caller));
    return took;
  };
  await all(input.warmUp);
  return { took: await all(input.mails) };
});
