import { z } from 'zod';
import { controlCharacters, type Mailbox, parseMailbox } from '../../accounts/address.ts';
import { notifySchema, retSchema } from '../../accounts/dsn.ts';
import type { Account } from '../../accounts/rules.ts';
import { defined } from '../../platform/defined.ts';
import { type Mistake, Refusal } from '../../platform/refusal.ts';
import { checkFields } from '../../platform/validation.ts';
import { type Attachment, attachmentsSchema, inlineBytes, maxInlineBytes } from '../composing/attachments.ts';
import { headersSchema } from '../composing/custom-headers.ts';
import { defaultDsn, envelopeFrom, partyMistakes } from '../composing/envelope.ts';
import { messageIdSchema, messageIdsSchema } from '../composing/message-ids.ts';
import { mailboxesSchema, mailboxSchema } from '../composing/recipients.ts';
import type { SendRequest } from '../composing/send-request.ts';
import { metadataSchema } from './metadata.ts';
import { refuseLargeMail, type Uploads, uploadMistakes } from './named-uploads.ts';

/** Bytes of a send request's body: the inline attachments in base64, and 2 MiB for all else. */
export const maxRequestBytes = Math.ceil(maxInlineBytes / 3) * 4 + 2 * 1024 * 1024;

/** 500 recipients in two parts each, 200 attachments with all their fields, and everything else several times over. */
export const requestBounds = { maxValues: 10_000, longFields: ['content', 'text', 'html'] };

/** Far beyond what a mail client shows; RFC 5322 leaves it to the line length, which folding takes care of. */
const maxSubject = 2000;

/** Characters of each body; encoding may triple them, and they are held in memory. */
const maxText = 10 * 1024 * 1024;

/** An invitation is some kilobytes. */
const maxCalendar = 1024 * 1024;

/** Outbox records of waiting mail are looked after until then. */
export const maxSendAheadMs = 366 * 24 * 3600 * 1000;

const bodySchema = z.string().max(maxText, `must be at most ${maxText} characters`);

const calendarSchema = z
  .strictObject({
    // RFC 5546 section 1.4.
    method: z
      .string()
      .toUpperCase()
      .pipe(z.enum(['PUBLISH', 'REQUEST', 'REPLY', 'ADD', 'CANCEL', 'REFRESH', 'COUNTER', 'DECLINECOUNTER'])),
    content: z
      .string()
      .max(maxCalendar, `must be at most ${maxCalendar} characters`)
      .regex(/^\s*BEGIN:VCALENDAR\b/i, 'must be an iCalendar object (RFC 5545)'),
  })
  .superRefine(({ method, content }, context) => {
    const own = /^METHOD:([A-Za-z-]+)[ \t]*$/im.exec(content)?.[1];
    // RFC 6047 section 2.4: the two must agree.
    if (own !== undefined && own.toUpperCase() !== method)
      context.addIssue({ code: 'custom', path: ['method'], message: 'differs from METHOD in the content' });
  });

/** RFC 3461. */
const dsnSchema = z.strictObject({
  notify: z.union([notifySchema.element.transform((one) => [one]), notifySchema]).optional(),
  ret: retSchema.optional(),
  envid: z
    .string()
    .regex(/^[\u0021-\u007e]{1,100}$/, 'must be 1 to 100 printable ASCII characters')
    .optional(),
});

/** What `POST /accounts/{account}/messages` takes. */
export const sendRequestSchema = z.strictObject({
  from: mailboxSchema.optional(),
  sender: mailboxSchema.optional().meta({
    description: 'The Sender header; by SMTP also the sender of the envelope. Graph and IMAP have no envelope.',
  }),
  to: mailboxesSchema.default([]),
  cc: mailboxesSchema.default([]),
  bcc: mailboxesSchema.default([]),
  replyTo: mailboxesSchema.default([]),
  subject: z
    .string()
    .max(maxSubject, `must be at most ${maxSubject} characters`)
    .refine((text) => !controlCharacters.test(text), 'must not contain line breaks or control characters')
    .refine((text) => text.isWellFormed(), 'must be well-formed Unicode'),
  text: bodySchema.optional(),
  html: bodySchema.optional(),
  attachments: attachmentsSchema.default([]),
  calendar: calendarSchema.optional(),
  headers: headersSchema.default([]),
  metadata: metadataSchema.optional(),
  inReplyTo: messageIdSchema.optional(),
  references: messageIdsSchema.optional(),
  priority: z.enum(['high', 'normal', 'low']).default('normal'),
  dsn: dsnSchema
    .optional()
    .meta({ description: 'Notifications to ask for (RFC 3461), of SMTP servers that offer it; else without effect.' }),
  sendAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }).optional(),
});

function duplicateContentIds(attachments: readonly Attachment[] = []): readonly Mistake[] {
  const ids = attachments.map((attachment) => attachment.contentId);
  return ids.flatMap((id, index) =>
    id !== undefined && ids.indexOf(id) < index
      ? [{ pointer: `/attachments/${index}/contentId`, detail: 'is used twice' }]
      : [],
  );
}

const noUploads: Uploads = new Map();

/** What a request is checked by, beside its account. */
export interface RequestOptions {
  /** In ms since the epoch. */
  readonly now: number;
  /** The uploads that it names, as far as there are such; default: none. */
  readonly uploads?: Uploads;
}

/**
 * Checks a send request for this account and brings it into one form. Throws Refusal `invalid` with every mistake at once,
 * or `tooLarge` where the attachments decode to more than 150 MiB, or those in the request to more than 35 MiB.
 */
export function parseSendRequest(value: unknown, account: Account, options: RequestOptions): SendRequest {
  const { now, uploads = noUploads } = options;
  // Before anything is decoded.
  if (inlineBytes(value) > maxInlineBytes)
    throw new Refusal('tooLarge', `Inline attachments are at most ${maxInlineBytes} bytes in total.`, {
      mistakes: [{ pointer: '/attachments', detail: 'are too large in total' }],
    });
  refuseLargeMail(value, uploads);
  const { fields, mistakes, complete } = checkFields(sendRequestSchema, value);
  const accountFrom: Mailbox = parseMailbox(account.from);
  const fromIsWrong = mistakes.some((mistake) => mistake.pointer.startsWith('/from'));
  const parties = { ...fields, from: fromIsWrong ? undefined : (fields.from ?? accountFrom) };
  const more = [
    ...partyMistakes(account, defined(parties)),
    ...duplicateContentIds(fields.attachments),
    ...uploadMistakes(value, uploads, now),
  ];
  const sendAt = fields.sendAt === undefined ? undefined : Date.parse(fields.sendAt);
  if (sendAt !== undefined && sendAt > now + maxSendAheadMs)
    more.push({ pointer: '/sendAt', detail: 'must be within a year' });

  const { from = accountFrom, references, dsn, sendAt: _, ...rest } = complete(more);
  return defined({
    ...rest,
    from,
    envelopeFrom: envelopeFrom(account, rest.sender),
    references: references ?? [],
    dsn: dsn === undefined ? defaultDsn(account) : defined(dsn),
    sendAt: sendAt !== undefined && sendAt > now ? sendAt : undefined,
  });
}
