import { z } from 'zod';
import { notifySchema, retSchema } from '../accounts/dsn.ts';
import { toIso } from '../platform/clock.ts';
import { accountId, instantOf } from '../platform/ids.ts';
import { jsonOf, type Row } from '../platform/rows.ts';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';
import { documentColumns } from './document-columns.ts';
import { localIdOf } from './keys.ts';

export const messageStatuses = [
  'scheduled',
  'queued',
  'sending',
  'sent',
  'partiallySent',
  'failed',
  'canceled',
  'uncertain',
] as const;
export type MessageStatus = (typeof messageStatuses)[number];

/** States in which something is still to be done for the message. */
export const openStatuses: readonly MessageStatus[] = ['scheduled', 'queued', 'sending'];

const recipientSchema = z.object({
  address: z.string(),
  /** `bounced`: it was accepted, and came back. */
  status: z.enum(['pending', 'accepted', 'rejected', 'deferred', 'uncertain', 'bounced']),
  code: z.string().optional(),
  reply: z.string().optional(),
});
export type Recipient = z.output<typeof recipientSchema>;

export const attemptSchema = z.object({
  at: z.string(),
  /**
   * `interrupted`: the process that made it ended before its commit point. `resend`: no attempt, but a person asked then
   * for the mail to be sent again; the attempts for that come behind it.
   */
  outcome: z.enum(['sent', 'partiallySent', 'failed', 'deferred', 'uncertain', 'interrupted', 'resend']),
  code: z.string().optional(),
  reply: z.string().optional(),
  /** What a person can do about it; kept of the last attempt only. */
  hint: z.string().optional(),
});
export type Attempt = z.output<typeof attemptSchema>;

/** What became of the copy for the \Sent folder; absent where the account asks for none, or nobody has the mail yet. */
const sentCopySchema = z
  .enum(['pending', 'saved', 'failed', 'uncertain'])
  .meta({ description: 'The copy for the \\Sent folder; absent where the account asks for none.' });
export type SentCopy = z.output<typeof sentCopySchema>;

const envelopeSchema = z.object({
  from: z.string(),
  dsn: z
    .object({
      notify: z.array(notifySchema.element).optional(),
      ret: retSchema.optional(),
      envid: z.string().optional(),
    })
    .optional(),
});

/** An upload within the MIME text of a message. Its bytes are a blob of the message's own (see `uploadPath`). */
const uploadInTextSchema = z.object({
  /** Octets of the kept text in front of it. */
  at: z.number(),
  /** Number of its blob. */
  upload: z.number(),
  /** Bytes, and the ETag, of that blob: a mail that was tried once never changes. */
  size: z.number(),
  etag: z.string(),
});

/** The part of a record that is kept as one document. */
const documentSchema = z.object({
  messageId: z.string(),
  createdAt: z.string(),
  sendAt: z.string().optional(),
  sentAt: z.string().optional(),
  envelope: envelopeSchema,
  headerFrom: z.string(),
  /** Of the Date header; absent: as `createdAt`. */
  date: z.string().optional(),
  bcc: z.array(z.string()),
  /** Bytes of the MIME text, uploads in it included. */
  size: z.number(),
  /** In the order of the text. */
  uploads: z.array(uploadInTextSchema).optional(),
  recipients: z.array(recipientSchema),
  attempts: z.array(attemptSchema),
  /** Bounces that were imported, by their assets, and how many recipients each was news for. */
  bounces: z.array(z.object({ asset: z.string(), recipients: z.number() })).optional(),
  /** Strings of the caller's own, for the record and the events of the mail alone. */
  metadata: z.record(z.string(), z.string()).optional(),
  /** Of the call that handed the mail in; log lines about its delivery name it. */
  traceId: z.string().optional(),
});

/** The part that changes alone, in columns, so that a claim does not write the whole record. */
const columnsSchema = z.object({
  status: z.enum(messageStatuses),
  /** Who delivers it now, and until when (ms) without a renewal. */
  leaseOwner: z.string().optional(),
  leaseUntil: z.number().optional(),
  claimedAt: z.number().optional(),
  /** The claim has passed its commit point: the last bytes may have left. */
  committing: z.boolean().optional(),
  committedAt: z.number().optional(),
  firstAttemptAt: z.number().optional(),
  nextAttemptAt: z.number().optional(),
  /** The server asked not to be tried before this instant. */
  retryAfterAt: z.number().optional(),
  /** An event that is still to be put on the queue. */
  event: z.string().optional(),
  /** A transport's note (see SendOptions.remember). */
  remembered: z.string().optional(),
  sentCopy: sentCopySchema.optional(),
  /** When it last ended, in ms: how long it is kept is counted from then. */
  endedAt: z.number().optional(),
  /** How often the queue gave up a message of this delivery (poison queue) since the last attempt. */
  queueGaveUp: z.number().optional(),
  /** It is sent again although an attempt at this instant (ms) may have succeeded: the transport looks for that one first. */
  inDoubtSince: z.number().optional(),
  /** Its MIME was kept long enough and is gone, or about to be: it cannot be sent any more. */
  mimeRemoved: z.boolean().optional(),
});

/**
 * A mail in the table, from its acceptance on. It is no FrozenMail: each recipient has a state of its own here, instants
 * are texts that callers see, and the MIME is named by where it lies (`frozenMail` makes the one of the other).
 */
export type MessageRecord = z.output<typeof documentSchema> &
  z.output<typeof columnsSchema> & {
    readonly account: string;
    /** The id without the account; see keys.ts. */
    readonly localId: string;
  };

/** The id of a message as callers have it. */
export function recordId(record: Pick<MessageRecord, 'account' | 'localId'>): string {
  return accountId(record.account, record.localId);
}

/** The record that a row holds. Throws where the row has another form, without a word of what it holds. */
export function recordOf(account: string, row: Row): MessageRecord {
  const record = readableRecord(account, row);
  if (!record) throw new Error('The record of the message cannot be read');
  return record;
}

/** As `recordOf`; undefined where the row has another form: a newer version may have written it, or a person changed it. */
export function readableRecord(account: string, row: Row): MessageRecord | undefined {
  const document = documentOf(row);
  const columns = columnsSchema.safeParse(row.columns);
  return document && columns.success
    ? { ...document, ...columns.data, account, localId: localIdOf(row.key) }
    : undefined;
}

/**
 * What is left of a record that cannot be read as a whole: who was to get it, and who has it; else nobody, and then it
 * cannot be sent any more.
 */
export function remainsOf(account: string, row: Row): MessageRecord {
  const localId = localIdOf(row.key);
  const nothing = {
    messageId: '',
    envelope: { from: '' },
    headerFrom: '',
    bcc: [],
    size: 0,
    recipients: [],
    attempts: [],
  };
  const document = documentOf(row);
  return {
    ...(document ?? { ...nothing, createdAt: toIso(instantOf(localId)), mimeRemoved: true }),
    ...(row.columns.committing === true ? { committing: true } : {}),
    status: 'sending',
    account,
    localId,
  };
}

function documentOf(row: Row): z.output<typeof documentSchema> | undefined {
  try {
    return documentSchema.parse(jsonOf(row));
  } catch {
    return undefined;
  }
}

/** Columns of a whole record, for an insert or a replace. */
export function recordColumns(record: MessageRecord): Record<string, string | number | boolean | undefined> {
  const document: z.output<typeof documentSchema> = {
    messageId: record.messageId,
    createdAt: record.createdAt,
    sendAt: record.sendAt,
    sentAt: record.sentAt,
    envelope: record.envelope,
    headerFrom: record.headerFrom,
    date: record.date,
    bcc: record.bcc,
    size: record.size,
    uploads: record.uploads,
    recipients: record.recipients,
    attempts: record.attempts,
    bounces: record.bounces,
    metadata: record.metadata,
    traceId: record.traceId,
  };
  return {
    ...documentColumns(document),
    status: record.status,
    leaseOwner: record.leaseOwner,
    leaseUntil: record.leaseUntil,
    claimedAt: record.claimedAt,
    committing: record.committing,
    committedAt: record.committedAt,
    firstAttemptAt: record.firstAttemptAt,
    nextAttemptAt: record.nextAttemptAt,
    retryAfterAt: record.retryAfterAt,
    event: record.event,
    remembered: record.remembered,
    sentCopy: record.sentCopy,
    endedAt: record.endedAt,
    queueGaveUp: record.queueGaveUp,
    inDoubtSince: record.inDoubtSince,
    mimeRemoved: record.mimeRemoved,
  };
}

/** What every event of a message has in its data. */
export function eventData({ status, messageId, metadata }: MessageRecord) {
  return { status, messageId, ...(metadata ? { metadata } : {}) };
}

/** The record as callers see it (design section 3). */
export const messageViewSchema = z
  .object({
    id: z.string(),
    account: z.string(),
    status: z.enum(messageStatuses),
    /** With its brackets. */
    messageId: z.string(),
    createdAt: instantSchema,
    sendAt: instantSchema.optional().meta({ description: 'Not sent before.' }),
    sentAt: instantSchema.optional(),
    nextAttemptAt: instantSchema.optional().meta({ description: 'Of mail that waits.' }),
    metadata: z.record(z.string(), z.string()).optional().meta({ description: 'As it was handed in.' }),
    recipients: z.array(recipientSchema),
    attempts: z.array(attemptSchema.omit({ hint: true })),
    sentCopy: sentCopySchema.optional(),
  })
  .meta({ id: 'Message', description: 'What became of a mail that was handed in.' });
export type MessageView = View<typeof messageViewSchema>;

/** The record as callers see it, without the hints of its attempts. */
export function messageView(record: MessageRecord): MessageView {
  const waiting = record.status === 'queued' || record.status === 'scheduled';
  return {
    id: recordId(record),
    account: record.account,
    status: record.status,
    messageId: record.messageId,
    createdAt: record.createdAt,
    ...(record.sendAt ? { sendAt: record.sendAt } : {}),
    ...(record.sentAt ? { sentAt: record.sentAt } : {}),
    ...(waiting && record.nextAttemptAt !== undefined
      ? { nextAttemptAt: new Date(record.nextAttemptAt).toISOString() }
      : {}),
    ...(record.metadata ? { metadata: record.metadata } : {}),
    recipients: record.recipients,
    attempts: record.attempts.map(({ hint: _, ...attempt }) => attempt),
    ...(record.sentCopy ? { sentCopy: record.sentCopy } : {}),
  };
}
