import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { TransactionAction } from '@azure/data-tables';
import type { DequeuedMessageItem } from '@azure/storage-queue';
import { z } from 'zod';
import { acceptBare, type BareMails, barePartition, openBareMails, repeat } from './bare-mails.ts';
import { serve } from './child.ts';
import { openPool } from './pool.ts';

/**
 * What sending can cost at least: the storage calls of the product made bare with the SDKs, and a bare nodemailer pool.
 * Mails are accepted first, and then delivered from the queue: the text read, the commit point and the receipt written,
 * the event sent, the message deleted. Rows of several mails share an entity group transaction, as the product's do.
 */

export const deliveryInputSchema = z.object({
  connectionString: z.string(),
  port: z.int(),
  connections: z.int(),
  mails: z.int(),
  from: z.string(),
  to: z.string(),
  raw: z.string(),
  /** Characters of the record. */
  record: z.int(),
});
export const deliveryResultSchema = z.object({ mails: z.int() });

/** As many as the host hands to the function at once, and takes from the queue in one call (host.json). */
const mailsAtOnce = 24;
const messagesAtOnce = 8;
const callsAtOnce = 16;
/** Of an entity group transaction. */
const maxActions = 100;

/** Writes what has gathered while the last transaction was under way. */
class SharedWrites {
  readonly #mails: BareMails;
  #gathered: { readonly actions: readonly TransactionAction[]; readonly written: PromiseWithResolvers<void> }[] = [];
  #isWriting = false;

  constructor(mails: BareMails) {
    this.#mails = mails;
  }

  write(...actions: readonly TransactionAction[]): Promise<void> {
    const written = Promise.withResolvers<void>();
    this.#gathered.push({ actions, written });
    if (!this.#isWriting) void this.#writeAll();
    return written.promise;
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#gathered.length > 0) {
      let count = 0;
      const most = this.#gathered.findIndex(({ actions }) => {
        count += actions.length;
        return count > maxActions;
      });
      const group = this.#gathered.splice(0, most < 0 ? this.#gathered.length : most);
      await this.#mails.rows.submitTransaction(group.flatMap(({ actions }) => actions)).then(
        () => group.forEach(({ written }) => void written.resolve()),
        (error: unknown) => group.forEach(({ written }) => void written.reject(error)),
      );
    }
    this.#isWriting = false;
  }
}

/** Takes messages from the queue, one call at a time. */
class Messages {
  readonly #mails: BareMails;
  #taken: DequeuedMessageItem[] = [];
  #taking: Promise<void> | undefined;

  constructor(mails: BareMails) {
    this.#mails = mails;
  }

  async next(): Promise<DequeuedMessageItem> {
    for (;;) {
      const message = this.#taken.shift();
      if (message) return message;
      this.#taking ??= this.#take().finally(() => {
        this.#taking = undefined;
      });
      await this.#taking;
    }
  }

  async #take(): Promise<void> {
    const { receivedMessageItems } = await this.#mails.queue.receiveMessages({
      numberOfMessages: messagesAtOnce,
      visibilityTimeout: 600,
    });
    this.#taken = receivedMessageItems;
  }
}

const entrySchema = z.object({ id: z.string() });

serve(import.meta, deliveryInputSchema, async (input): Promise<z.input<typeof deliveryResultSchema>> => {
  const mails = await openBareMails(input.connectionString, 'send');
  const record = 'x'.repeat(input.record);
  const raw = Buffer.from(input.raw);
  await repeat(input.mails, callsAtOnce, () => acceptBare(mails, raw, record));
  const pool = openPool(input);
  const writes = new SharedWrites(mails);
  const messages = new Messages(mails);
  const event = Buffer.alloc(420, 'x').toString('base64');
  const told: Promise<void>[] = [];
  const deliver = async () => {
    const message = await messages.next();
    const { id } = entrySchema.parse(JSON.parse(Buffer.from(message.messageText, 'base64').toString()));
    const row = (kind: string, columns: object) => ({
      partitionKey: barePartition,
      rowKey: `${kind}:${id}`,
      ...columns,
    });
    const { readableStreamBody } = await mails.blobs.getBlobClient(`bench/${id}.eml`).download();
    if (!readableStreamBody) throw new Error('storage answered without a text');
    const text = await buffer(readableStreamBody);
    await writes.write(['update', row('m', { json0: record, status: 'sending', committing: true }), 'Merge']);
    await pool.sendMail({ envelope: { from: input.from, to: [input.to] }, raw: text });
    await writes.write(
      ['update', row('m', { json0: record, status: 'sent', committing: false }), 'Merge'],
      ['update', row('o', { ended: true, event }), 'Merge'],
      ['create', { ...row('t', { sent: 1.5 }), rowKey: `t:${randomUUID()}` }],
    );
    await mails.events.sendMessage(event, { messageTimeToLive: -1 });
    told.push(writes.write(['delete', row('o', {})]));
    await mails.queue.deleteMessage(message.messageId, message.popReceipt);
  };
  try {
    await repeat(input.mails, mailsAtOnce, deliver);
    await Promise.all(told);
  } finally {
    pool.close();
  }
  return { mails: input.mails };
});
