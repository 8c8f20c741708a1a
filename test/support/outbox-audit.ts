import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { z } from 'zod';

/** A message as it lies in storage. */
export interface StoredMessage {
  readonly id: string;
  readonly account: string;
  readonly status: string;
  readonly messageId: string;
  readonly sentCopy: string | undefined;
  readonly recipients: readonly string[];
}

/** Everything of the outbox in storage. Shares no code with the product, so that a mistake is not made twice. */
export interface StoredOutbox {
  readonly messages: readonly StoredMessage[];
  /** Keys of rows that say that something is still to be done, with their account. */
  readonly open: readonly string[];
  /** Idempotency keys that are still being accepted, and rows of recipients, Message-IDs and ends, that name no message. */
  readonly looseKeys: readonly string[];
  readonly blobs: readonly string[];
  /** What is counted of all days, added up or not. */
  readonly counted: ReadonlyMap<string, number>;
}

const documentSchema = z.object({
  messageId: z.string(),
  recipients: z.array(z.object({ status: z.string() })),
});

export async function readOutbox(connectionString: string): Promise<StoredOutbox> {
  const table = TableClient.fromConnectionString(connectionString, 'outbox', { allowInsecureConnection: true });
  const messages: StoredMessage[] = [];
  const open: string[] = [];
  const counted = new Map<string, number>();
  const keys: { readonly at: string; readonly message: unknown }[] = [];
  for await (const entity of table.listEntities()) {
    const { partitionKey: account = '', rowKey = '' } = entity;
    const at = `${account} ${rowKey}`;
    if (rowKey.startsWith('m:')) {
      let text = '';
      for (let part = 0; typeof entity[`json${part}`] === 'string'; part += 1) text += String(entity[`json${part}`]);
      const { messageId, recipients } = documentSchema.parse(JSON.parse(text));
      messages.push({
        id: `${account}.${rowKey.slice(2)}`,
        account,
        status: String(entity.status),
        messageId,
        sentCopy: typeof entity.sentCopy === 'string' ? entity.sentCopy : undefined,
        recipients: recipients.map(({ status }) => status),
      });
    } else if (rowKey.startsWith('i:')) keys.push({ at, message: entity.message });
    else if (/^[rhe]:/.test(rowKey)) keys.push({ at, message: rowKey.slice(rowKey.lastIndexOf(':') + 1) });
    else if (rowKey.startsWith('t:')) {
      for (const name of ['accepted', 'sent', 'failed', 'uncertain']) {
        counted.set(name, (counted.get(name) ?? 0) + Number(entity[name] ?? 0));
      }
    }
    // A row `~` says until when its account was handed mail, and stays.
    else if (!/^(f:|~)/.test(rowKey)) open.push(at);
  }
  const ids = new Set(messages.map(({ id }) => id));
  const looseKeys = keys.filter(({ at, message }) => !ids.has(`${at.split(' ')[0]}.${String(message)}`));
  const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('outbox');
  const blobs: string[] = [];
  for await (const { name } of container.listBlobsFlat()) blobs.push(name);
  return { messages, open, looseKeys: looseKeys.map(({ at }) => at), blobs, counted };
}

const eventSchema = z.object({ id: z.string(), type: z.string(), subject: z.string() });

/** Takes every event from its queue; the types published of each subject. */
export async function readEvents(connectionString: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const queue = QueueServiceClient.fromConnectionString(connectionString).getQueueClient('mail-events');
  const types = new Map<string, Set<string>>();
  for (;;) {
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 600 });
    if (receivedMessageItems.length === 0) return types;
    for (const { messageText } of receivedMessageItems) {
      const { type, subject } = eventSchema.parse(JSON.parse(Buffer.from(messageText, 'base64').toString()));
      types.set(subject, (types.get(subject) ?? new Set()).add(type));
    }
  }
}

const eventOf: Readonly<Record<string, string>> = {
  sent: 'mailroom.message.sent',
  uncertain: 'mailroom.message.uncertain',
  failed: 'mailroom.message.failed',
  partiallySent: 'mailroom.message.failed',
};

/** The states that each count is of; undefined: every one. */
const statusesCounted: Readonly<Record<string, readonly string[] | undefined>> = {
  accepted: undefined,
  sent: ['sent'],
  failed: ['failed', 'partiallySent'],
  uncertain: ['uncertain'],
};

/** Which counts of days are not the number of messages that are so, as sentences; before any was canceled or removed. */
export function miscounted({ messages, counted }: StoredOutbox): string[] {
  return Object.entries(statusesCounted).flatMap(([name, statuses]) => {
    const there = messages.filter(({ status }) => statuses?.includes(status) ?? true).length;
    const count = counted.get(name) ?? 0;
    return count === there ? [] : [`${count} are counted as ${name}, and ${there} are`];
  });
}

/**
 * What is not true of records, as sentences. `received` says how often a server has a Message-ID, `copied` how often
 * \Sent has it.
 */
export function untruths(
  outbox: StoredOutbox,
  events: ReadonlyMap<string, ReadonlySet<string>>,
  counts: { received(message: StoredMessage): number; copied(message: StoredMessage): number },
): string[] {
  const { messages, open, looseKeys } = outbox;
  const wrong: string[] = [
    ...miscounted(outbox),
    ...open.map((key) => `still open: ${key}`),
    ...looseKeys.map((key) => `loose: ${key}`),
  ];
  for (const message of messages) {
    const { id, status, recipients, sentCopy } = message;
    const received = counts.received(message);
    const mayBe = status === 'sent' ? received === 1 : status === 'uncertain' && received <= 1;
    if (!mayBe) wrong.push(`${id} is ${status} and was received ${received} times`);
    const states = status === 'sent' ? ['accepted'] : ['uncertain', 'accepted'];
    if (recipients.some((state) => !states.includes(state))) wrong.push(`${id} is ${status}: ${recipients.join()}`);
    const reported = [...(events.get(id) ?? [])];
    if (reported.length !== 1 || reported[0] !== eventOf[status])
      wrong.push(`${id} is ${status} and was published as ${reported.join()}`);
    const copies = counts.copied(message);
    const copyMayBe = sentCopy === 'saved' ? copies === 1 : sentCopy === 'uncertain' ? copies <= 1 : copies === 0;
    if (!copyMayBe || sentCopy === 'pending') wrong.push(`${id}: its copy is ${sentCopy}, ${copies} times in Sent`);
  }
  return wrong;
}
