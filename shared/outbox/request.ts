import { z } from 'zod';
import { controlCharacters, type Mailbox, parseMailbox } from '../accounts/address.ts';
import type { Account } from '../accounts/rules.ts';
import type { Envelope } from '../adapters/transport.ts';
import { HttpProblem, type Mistake } from '../http/problem.ts';
import { checkFields } from '../http/validation.ts';
import { type Attachment, attachmentsSchema, inlineBytes, maxInlineBytes } from './attachments.ts';
import { type Header, headersSchema } from './custom-headers.ts';
import { defined } from './defined.ts';
import { messageIdSchema, messageIdsSchema } from './message-ids.ts';
import { mailboxesSchema, mailboxSchema } from './recipients.ts';
import { defaultDsn, envelopeFrom, type Parties, partyMistakes } from './senders.ts';

/** Bytes of a send request's body: the inline attachments in base64, and 2 MiB for all else. */
export const maxRequestBytes = Math.ceil(maxInlineBytes / 3) * 4 + 2 * 1024 * 1024;

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
  notify: z
    .union([
      z.enum(['never', 'success', 'failure', 'delay']).transform((one) => [one]),
      z.array(z.enum(['never', 'success', 'failure', 'delay'])).min(1, 'must not be empty'),
    ])
    .refine((all) => !all.includes('never') || all.length === 1, '"never" excludes the others')
    .refine((all) => new Set(all).size === all.length, 'must not repeat')
    .optional(),
  ret: z.enum(['full', 'headers']).optional(),
  envid: z
    .string()
    .regex(/^[\u0021-\u007e]{1,100}$/, 'must be 1 to 100 printable ASCII characters')
    .optional(),
});

/** What `POST /accounts/{account}/messages` takes. */
export const sendRequestSchema = z.strictObject({
  from: mailboxSchema.optional(),
  sender: mailboxSchema.optional(),
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
  inReplyTo: messageIdSchema.optional(),
  references: messageIdsSchema.optional(),
  priority: z.enum(['high', 'normal', 'low']).default('normal'),
  dsn: dsnSchema.optional(),
  sendAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }).optional(),
});

/** A send request, checked, in one form. */
export interface SendRequest extends Parties {
  /** As SMTP's MAIL FROM: the request's sender, else the account's. */
  readonly envelopeFrom: string;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly Attachment[];
  readonly calendar?: { readonly method: string; readonly content: string };
  readonly headers: readonly Header[];
  /** Message-IDs with their brackets. */
  readonly inReplyTo?: string;
  readonly references: readonly string[];
  readonly priority: 'high' | 'normal' | 'low';
  readonly dsn?: NonNullable<Envelope['dsn']>;
  /** Not before this instant, in ms since the epoch; absent: now. */
  readonly sendAt?: number;
}

function duplicateContentIds(attachments: readonly Attachment[] = []): readonly Mistake[] {
  const ids = attachments.map((attachment) => attachment.contentId);
  return ids.flatMap((id, index) =>
    id !== undefined && ids.indexOf(id) < index
      ? [{ pointer: `/attachments/${index}/contentId`, detail: 'is used twice' }]
      : [],
  );
}

/**
 * Checks a send request for this account and brings it into one form. `now`: ms since the epoch. Throws HttpProblem 400
 * with every mistake at once, or 413 where the inline attachments decode to more than 35 MiB.
 */
export function parseSendRequest(value: unknown, account: Account, options: { readonly now: number }): SendRequest {
  // Before anything is decoded.
  if (inlineBytes(value) > maxInlineBytes)
    throw new HttpProblem(413, `Inline attachments are at most ${maxInlineBytes} bytes in total.`, {
      errors: [{ pointer: '/attachments', detail: 'are too large in total' }],
    });
  const { fields, mistakes, complete } = checkFields(sendRequestSchema, value);
  const accountFrom: Mailbox = parseMailbox(account.from);
  const fromIsWrong = mistakes.some((mistake) => mistake.pointer.startsWith('/from'));
  const parties = { ...fields, from: fromIsWrong ? undefined : (fields.from ?? accountFrom) };
  const more = [...partyMistakes(account, defined(parties)), ...duplicateContentIds(fields.attachments)];
  const sendAt = fields.sendAt === undefined ? undefined : Date.parse(fields.sendAt);
  if (sendAt !== undefined && sendAt > options.now + maxSendAheadMs)
    more.push({ pointer: '/sendAt', detail: 'must be within a year' });

  const { from = accountFrom, references, dsn, sendAt: _, ...rest } = complete(more);
  return defined({
    ...rest,
    from,
    envelopeFrom: envelopeFrom(account, rest.sender),
    references: references ?? [],
    dsn: dsn === undefined ? defaultDsn(account) : defined(dsn),
    sendAt: sendAt !== undefined && sendAt > options.now ? sendAt : undefined,
  });
}
