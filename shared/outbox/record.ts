import { z } from 'zod';
import { accountId } from '../platform/ids.ts';
import { jsonColumns, jsonOf, type Row } from '../platform/rows.ts';

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

export const recipientSchema = z.object({
  address: z.string(),
  status: z.enum(['pending', 'accepted', 'rejected', 'deferred', 'uncertain']),
  code: z.string().optional(),
  reply: z.string().optional(),
});
export type Recipient = z.output<typeof recipientSchema>;

export const attemptSchema = z.object({
  at: z.string(),
  /** `interrupted`: the process that made it ended before its commit point. */
  outcome: z.enum(['sent', 'partiallySent', 'failed', 'deferred', 'uncertain', 'interrupted']),
  code: z.string().optional(),
  reply: z.string().optional(),
});
export type Attempt = z.output<typeof attemptSchema>;

/** What became of the copy for the \Sent folder; absent where the account asks for none, or nobody has the mail yet. */
const sentCopySchema = z.enum(['pending', 'saved', 'failed', 'uncertain']);
export type SentCopy = z.output<typeof sentCopySchema>;

const envelopeSchema = z.object({
  from: z.string(),
  dsn: z
    .object({
      notify: z.array(z.enum(['never', 'success', 'failure', 'delay'])).optional(),
      ret: z.enum(['full', 'headers']).optional(),
      envid: z.string().optional(),
    })
    .optional(),
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
  size: z.number(),
  recipients: z.array(recipientSchema),
  attempts: z.array(attemptSchema),
  /** Of the call that handed the mail in; log lines about its delivery name it. */
  traceId: z.string().optional(),
});

/** The part that changes alone, in columns, so that a claim does not write the whole record. */
const columnsSchema = z.object({
  status: z.enum(messageStatuses),
  /** Who delivers it now, and until when (ms) without a renewal. */
  claimOwner: z.string().optional(),
  claimUntil: z.number().optional(),
  claimedAt: z.number().optional(),
  /** The claim has passed its commit point: the last bytes may have left. */
  committing: z.boolean().optional(),
  committedAt: z.number().optional(),
  firstAttemptAt: z.number().optional(),
  nextAttemptAt: z.number().optional(),
  /** An event that is still to be put on the queue. */
  event: z.string().optional(),
  /** A transport's note (see SendOptions.remember). */
  remembered: z.string().optional(),
  sentCopy: sentCopySchema.optional(),
});

export type MessageRecord = z.output<typeof documentSchema> &
  z.output<typeof columnsSchema> & {
    readonly account: string;
    /** Row key without its prefix; with the account it makes the id. */
    readonly rest: string;
  };

export const recordKey = (rest: string) => `m:${rest}`;
export const openKey = (rest: string) => `o:${rest}`;

export function recordId(record: Pick<MessageRecord, 'account' | 'rest'>): string {
  return accountId(record.account, record.rest);
}

export function recordOf(account: string, row: Row): MessageRecord {
  return {
    ...documentSchema.parse(jsonOf(row)),
    ...columnsSchema.parse(row.columns),
    account,
    rest: row.key.slice(recordKey('').length),
  };
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
    recipients: record.recipients,
    attempts: record.attempts,
    traceId: record.traceId,
  };
  return {
    ...jsonColumns(document),
    status: record.status,
    claimOwner: record.claimOwner,
    claimUntil: record.claimUntil,
    claimedAt: record.claimedAt,
    committing: record.committing,
    committedAt: record.committedAt,
    firstAttemptAt: record.firstAttemptAt,
    nextAttemptAt: record.nextAttemptAt,
    event: record.event,
    remembered: record.remembered,
    sentCopy: record.sentCopy,
  };
}

/** The record as callers see it (design section 3). */
export interface MessageView {
  readonly id: string;
  readonly account: string;
  readonly status: MessageStatus;
  readonly messageId: string;
  readonly createdAt: string;
  readonly sendAt?: string;
  readonly sentAt?: string;
  readonly nextAttemptAt?: string;
  readonly recipients: readonly Recipient[];
  readonly attempts: readonly Attempt[];
  readonly sentCopy?: SentCopy;
}

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
    recipients: record.recipients,
    attempts: record.attempts,
    ...(record.sentCopy ? { sentCopy: record.sentCopy } : {}),
  };
}
