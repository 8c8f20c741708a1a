import { z } from 'zod';
import { type Address, fromRecipient } from './address.ts';
import { type NewAttachment, type StoredAttachment, storeAttachment } from './attachment.ts';
import { Content, type MailFields } from './content.ts';
import { badRequest, GraphRefusal, invalidProperty, tooLarge } from './graph-error.ts';
import type { FollowupFlag } from './item.ts';
import type { MailBody } from './mime-content.ts';

/** Bytes of an attachment that a POST may carry (Microsoft Graph, "Add attachment"): from 3 MB on it takes a session. */
export const maxPostedAttachment = 3 * 1024 * 1024;
/** Headers of one message (seen in the field; see also "message resource type", internetMessageHeaders). */
const maxHeaders = 5;

const messageSchema = z.looseObject({
  subject: z.string().nullish(),
  body: z.object({ contentType: z.enum(['text', 'html']).nullish(), content: z.string().nullish() }).nullish(),
  internetMessageId: z.string().nullish(),
  importance: z.enum(['low', 'normal', 'high']).nullish(),
  isRead: z.boolean().nullish(),
  isReadReceiptRequested: z.boolean().nullish(),
  isDeliveryReceiptRequested: z.boolean().nullish(),
  inferenceClassification: z.enum(['focused', 'other']).nullish(),
  categories: z.array(z.string()).optional(),
  flag: z.looseObject({ flagStatus: z.enum(['notFlagged', 'complete', 'flagged']).optional() }).nullish(),
  internetMessageHeaders: z.array(z.object({ name: z.string(), value: z.string().nullish() })).optional(),
  attachments: z.array(z.unknown()).optional(),
  singleValueExtendedProperties: z.array(z.object({ id: z.string(), value: z.string().nullish() })).optional(),
  multiValueExtendedProperties: z.array(z.object({ id: z.string(), value: z.array(z.string()) })).optional(),
});

/** What a client may write of a message. Absent: not written. */
export interface MessageInput {
  readonly fields: Partial<MailFields>;
  readonly body?: MailBody;
  readonly attachments: readonly StoredAttachment[];
  readonly single: readonly { readonly id: string; readonly value: string }[];
  readonly multi: readonly { readonly id: string; readonly value: readonly string[] }[];
  readonly isRead?: boolean;
  readonly categories?: readonly string[];
  readonly flag?: FollowupFlag & Readonly<Record<string, unknown>>;
  readonly inferenceClassification?: 'focused' | 'other';
}

/** Updatable only while isDraft is true ("Update message"). */
const ofDrafts = [
  'subject',
  'body',
  'from',
  'sender',
  'toRecipients',
  'ccRecipients',
  'bccRecipients',
  'replyTo',
  'internetMessageId',
];
const always = [
  'isRead',
  'categories',
  'flag',
  'importance',
  'inferenceClassification',
  'isDeliveryReceiptRequested',
  'isReadReceiptRequested',
  'singleValueExtendedProperties',
  'multiValueExtendedProperties',
];
const onCreation = ['internetMessageHeaders', 'attachments'];

/** Throws what Graph answers to a property that cannot be set here. `json` has passed the schema. */
export function readMessage(json: unknown, mode: 'create' | 'updateDraft' | 'update'): MessageInput {
  const parsed = messageSchema.safeParse(json);
  if (!parsed.success) throw badRequest('The message cannot be read.');
  const message = parsed.data;
  const allowed = new Set([
    ...always,
    ...(mode === 'update' ? [] : ofDrafts),
    ...(mode === 'create' ? onCreation : []),
  ]);
  for (const name of Object.keys(message)) {
    if (!name.includes('@') && !allowed.has(name)) throw invalidProperty(name);
  }
  const headers = readHeaders(message.internetMessageHeaders);
  const fields: { -readonly [K in keyof MailFields]?: MailFields[K] } = {};
  const has = (name: string) => name in message;
  if (has('subject')) fields.subject = message.subject ?? '';
  if (has('from')) fields.from = fromRecipient(message.from);
  if (has('sender')) fields.sender = fromRecipient(message.sender);
  if (has('toRecipients')) fields.to = recipients(message.toRecipients);
  if (has('ccRecipients')) fields.cc = recipients(message.ccRecipients);
  if (has('bccRecipients')) fields.bcc = recipients(message.bccRecipients);
  if (has('replyTo')) fields.replyTo = recipients(message.replyTo);
  if (message.internetMessageId) fields.messageId = message.internetMessageId;
  if (message.importance) fields.importance = message.importance;
  if (headers) fields.headers = headers;
  if (has('isReadReceiptRequested')) fields.readReceipt = message.isReadReceiptRequested === true;
  if (has('isDeliveryReceiptRequested')) fields.deliveryReceipt = message.isDeliveryReceiptRequested === true;
  return {
    fields,
    ...(has('body')
      ? { body: { contentType: message.body?.contentType ?? 'text', content: message.body?.content ?? '' } }
      : {}),
    attachments: (message.attachments ?? []).map((one) => storeAttachment(readAttachment(one))),
    single: (message.singleValueExtendedProperties ?? []).map(({ id, value }) => ({ id, value: value ?? '' })),
    multi: message.multiValueExtendedProperties ?? [],
    ...(typeof message.isRead === 'boolean' ? { isRead: message.isRead } : {}),
    ...(message.categories ? { categories: message.categories } : {}),
    ...(message.flag ? { flag: { ...message.flag, flagStatus: message.flag.flagStatus ?? 'notFlagged' } } : {}),
    ...(message.inferenceClassification ? { inferenceClassification: message.inferenceClassification } : {}),
  };
}

function recipients(value: unknown): readonly Address[] {
  return (Array.isArray(value) ? value : []).flatMap((one) => fromRecipient(one) ?? []);
}

function readHeaders(given: z.output<typeof messageSchema>['internetMessageHeaders']) {
  if (!given) return undefined;
  if (given.length > maxHeaders) {
    throw new GraphRefusal(
      400,
      'InvalidInternetMessageHeaderCollection',
      `A message can have at most ${maxHeaders} headers of its own.`,
    );
  }
  return given.map(({ name, value }) => {
    if (!/^x-[\x21-\x39\x3b-\x7e]+$/i.test(name)) {
      throw new GraphRefusal(400, 'InvalidInternetMessageHeader', "The name of a header must begin with 'x-'.");
    }
    return { name, value: value ?? '' };
  });
}

const attachmentSchema = z.looseObject({
  '@odata.type': z.string().optional(),
  name: z.string().nullish(),
  contentType: z.string().nullish(),
  contentId: z.string().nullish(),
  contentBytes: z.string().nullish(),
  isInline: z.boolean().nullish(),
  item: z.unknown().optional(),
});

/** An attachment that came with a POST. Throws 413 from 3 MB on. */
export function readAttachment(json: unknown): NewAttachment {
  const parsed = attachmentSchema.safeParse(json);
  const type = parsed.data?.['@odata.type']?.replace('#microsoft.graph.', '');
  if (!parsed.success || !parsed.data.name) throw badRequest('An attachment must have a name.');
  const { name, contentType, contentId, contentBytes, item } = parsed.data;
  const isInline = parsed.data.isInline ?? false;
  if (type === 'itemAttachment') {
    const input = readMessage(item, 'create');
    const body = input.body ?? { contentType: 'text' as const, content: '' };
    const content = Content.fromProperties(input.fields, body, input.attachments);
    return { kind: 'item', name, isInline, chunks: [...content.pieces()] };
  }
  if (type !== 'fileAttachment') throw badRequest('An attachment must say its @odata.type.');
  const bytes = Buffer.from(contentBytes ?? '', 'base64');
  if (bytes.length >= maxPostedAttachment) throw tooLarge();
  return { name, contentType, contentId, isInline, chunks: [bytes] };
}
