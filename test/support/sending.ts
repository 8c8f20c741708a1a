import { TableClient } from '@azure/data-tables';
import { QueueServiceClient } from '@azure/storage-queue';
import { z } from 'zod';
import { type Mailroom, until } from './mailroom.ts';

/** A message's record as callers get it. */
const recordSchema = z.strictObject({
  id: z.string(),
  account: z.string(),
  status: z.string(),
  messageId: z.string(),
  createdAt: z.iso.datetime(),
  sendAt: z.iso.datetime().optional(),
  sentAt: z.iso.datetime().optional(),
  nextAttemptAt: z.iso.datetime().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  recipients: z.array(
    z.strictObject({
      address: z.string(),
      status: z.string(),
      code: z.string().optional(),
      reply: z.string().optional(),
    }),
  ),
  sentCopy: z.string().optional(),
  attempts: z.array(
    z.strictObject({
      at: z.iso.datetime(),
      outcome: z.string(),
      code: z.string().optional(),
      reply: z.string().optional(),
    }),
  ),
});
export type SentRecord = z.output<typeof recordSchema>;

const acceptedSchema = z.strictObject({ id: z.string(), status: z.string(), messageId: z.string() });
export type Accepted = z.output<typeof acceptedSchema>;

const openStatuses = ['scheduled', 'queued', 'sending'];

/** Makes (or changes) an account that sends by SMTP to a server on this machine. `transport` adds to its transport. */
export async function smtpAccount(
  mailroom: Mailroom,
  name: string,
  transport: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name} <${name}@example.com>`,
      transport: { protocol: 'smtp', host: '127.0.0.1', tls: { starttls: 'never' }, ...transport },
      import: { schedule: null },
      ...fields,
    },
  });
}

/** Hands a mail in; `fields` go on top of an ordinary one. */
export async function send(
  mailroom: Mailroom,
  account: string,
  fields: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Accepted> {
  const body = { to: 'anna@example.org', subject: 'Zahlen', text: 'Grüße\r\n', ...fields };
  const { json } = await mailroom.expect(202, 'POST', `/api/accounts/${account}/messages`, { body, headers });
  return acceptedSchema.parse(json);
}

export async function recordOf(mailroom: Mailroom, id: string): Promise<SentRecord> {
  return recordSchema.parse((await mailroom.expect(200, 'GET', `/api/messages/${id}`)).json);
}

/** The record once it is what the test waits for. */
export async function recordWhen(
  mailroom: Mailroom,
  id: string,
  what: string,
  fits: (record: SentRecord) => boolean,
  seconds = 90,
): Promise<SentRecord> {
  let last: SentRecord | undefined;
  try {
    return await until(what, seconds, async () => {
      last = await recordOf(mailroom, id);
      return fits(last) && last;
    });
  } catch (error) {
    throw new Error(`${what}: not so, but ${JSON.stringify(last)}`, { cause: error });
  }
}

/** The record once nothing is left to do for the message. */
export function endedRecord(mailroom: Mailroom, id: string, seconds = 90): Promise<SentRecord> {
  return recordWhen(mailroom, id, 'ended', ({ status }) => !openStatuses.includes(status), seconds);
}

/** The record once an attempt was made and another is to follow. */
export function waitingRecord(mailroom: Mailroom, id: string, seconds = 90): Promise<SentRecord> {
  const waits = ({ status, attempts }: SentRecord) => status === 'queued' && attempts.length > 0;
  return recordWhen(mailroom, id, 'waiting for the next attempt', waits, seconds);
}

function outboxRows(mailroom: Mailroom, filter: string) {
  const { connectionString } = mailroom.azurite;
  const table = TableClient.fromConnectionString(connectionString, 'outbox', { allowInsecureConnection: true });
  return table.listEntities({ queryOptions: { filter } });
}

/** Ids of the messages that the recovery timer still watches over, as they lie in storage. */
export async function openMessages(mailroom: Mailroom): Promise<string[]> {
  const ids: string[] = [];
  for await (const { partitionKey, rowKey } of outboxRows(mailroom, "RowKey ge 'o:' and RowKey lt 'o;'")) {
    ids.push(`${partitionKey}.${rowKey?.slice(2)}`);
  }
  return ids;
}

/** How many keys are held by requests that are being accepted, as they lie in storage. */
export async function heldKeys(mailroom: Mailroom): Promise<number> {
  let held = 0;
  for await (const _ of outboxRows(mailroom, "RowKey ge 'i:' and RowKey lt 'i;' and leaseUntil gt 0")) held += 1;
  return held;
}

/** A storage queue, past all gates, as the customer or an operator would open it. */
export function queueOf(mailroom: Mailroom, name: string) {
  return QueueServiceClient.fromConnectionString(mailroom.azurite.connectionString).getQueueClient(name);
}

const eventSchema = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().startsWith('/accounts/'),
  type: z.string().startsWith('mailroom.'),
  subject: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  data: z.record(z.string(), z.unknown()),
});
export type ReadEvent = z.output<typeof eventSchema>;

/** The id that an event is to have: more than type and subject only where a subject can have several of a type. */
function named({ type, subject, data }: ReadEvent): string {
  const resent = typeof data.resentAt === 'string' ? `:${data.resentAt}` : '';
  if (type === 'mailroom.mail.disposed' && data.outcome === 'dropped') return `${type}:${subject}:dropped`;
  if (type !== 'mailroom.message.bounced') return `${type}:${subject}${resent}`;
  return `${type}:${subject}:${typeof data.assetId === 'string' ? data.assetId : `delivery${resent}`}`;
}

/** Takes the events from their queue as a customer does, and keeps them. */
export class EventReader {
  readonly #mailroom: Mailroom;
  readonly #events: ReadEvent[] = [];

  constructor(mailroom: Mailroom) {
    this.#mailroom = mailroom;
  }

  /** All events so far, in the order they were read. */
  async all(): Promise<readonly ReadEvent[]> {
    const queue = queueOf(this.#mailroom, 'mail-events');
    await queue.createIfNotExists();
    for (;;) {
      const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32 });
      if (receivedMessageItems.length === 0) return this.#events;
      for (const item of receivedMessageItems) {
        const event = eventSchema.parse(JSON.parse(Buffer.from(item.messageText, 'base64').toString()));
        if (event.id !== named(event)) throw new Error(`an event's id is ${event.id}`);
        this.#events.push(event);
        await queue.deleteMessage(item.messageId, item.popReceipt);
      }
    }
  }

  /** The events about a message or an account, once there is one. */
  async about(text: string, seconds = 90): Promise<readonly ReadEvent[]> {
    return await until(`an event about ${text}`, seconds, async () => {
      const found = (await this.all()).filter(({ subject }) => subject === text || subject.startsWith(`${text}/`));
      return found.length > 0 && found;
    });
  }
}
