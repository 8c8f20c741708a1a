import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import MailComposer, { type MailComposerAttachment, type MailComposerOptions } from 'nodemailer/lib/mail-composer';
import type { Mailbox } from '../accounts/address.ts';
import type { Envelope } from '../adapters/transport.ts';
import { type Attachment, isMessagePart } from './attachments.ts';
import { structuredHeader, textHeader } from './header-text.ts';
import type { SendRequest } from './request.ts';
import { envelopeOf } from './senders.ts';
import { LineCheck, textToCrlf, toCrlf } from './wire-lines.ts';

/** What composing must not decide anew: with the same of these, the same request gives the same bytes. */
export interface FixedParts {
  /** With its angle brackets. */
  readonly messageId: string;
  readonly date: Date;
  /** Boundaries follow from it; default: the Message-ID. Nobody who writes a body may know it beforehand. */
  readonly boundarySeed?: string;
}

/** A mail whose headers and body are final. */
export interface ComposedMail {
  readonly envelope: Envelope;
  /** Recipients that no header names. */
  readonly bcc: readonly string[];
  readonly headerFrom: string;
  readonly messageId: string;
  /** Instant of the Date header, in ms since the epoch. */
  readonly date: number;
  /** Not before this instant, in ms since the epoch. */
  readonly sendAt?: number;
  /** The MIME text from its first byte: CRLF line ends, no Bcc, no line over 998 octets. The same bytes every time. */
  open(): Readable;
}

/** What mail programs read: X-Priority came first, Importance is RFC 2156's, the third is Outlook's. */
const priorityHeaders = {
  high: [
    ['X-Priority', '1 (Highest)'],
    ['X-MSMail-Priority', 'High'],
    ['Importance', 'high'],
  ],
  normal: [],
  low: [
    ['X-Priority', '5 (Lowest)'],
    ['X-MSMail-Priority', 'Low'],
    ['Importance', 'low'],
  ],
} as const;

function attachmentPart(attachment: Attachment, hasHtml: boolean): MailComposerAttachment {
  const { filename, contentType, contentId, content } = attachment;
  const disposition = attachment.disposition ?? (contentId !== undefined && hasHtml ? 'inline' : 'attachment');
  const part: MailComposerAttachment = {
    filename,
    contentType,
    contentDisposition: disposition,
    content: isMessagePart(contentType) ? toCrlf(content) : content,
  };
  if (contentId === undefined) return part;
  // `cid` moves the part beside the HTML (multipart/related); one that is to be listed keeps its id all the same.
  return disposition === 'inline'
    ? { ...part, cid: contentId }
    : { ...part, headers: { 'Content-ID': `<${contentId}>` } };
}

function options(request: SendRequest, fixed: FixedParts): MailComposerOptions {
  const { from, sender, text, html, calendar, attachments, inReplyTo, references } = request;
  const copy = (mailboxes: readonly Mailbox[]) => mailboxes.map((mailbox) => ({ ...mailbox }));
  const isEmpty = !text && !html && calendar === undefined;
  const invitation = calendar && {
    contentType: `text/calendar; charset=utf-8; method=${calendar.method}`,
    content: textToCrlf(calendar.content),
  };
  // A body of its own, even an empty one: an attachment as the whole message is shown oddly.
  const body = isEmpty ? { contentType: 'text/plain; charset=utf-8', content: '' } : undefined;
  return {
    messageId: fixed.messageId,
    date: fixed.date,
    baseBoundary: createHash('sha256')
      .update(fixed.boundarySeed ?? fixed.messageId)
      .digest('hex')
      .slice(0, 24),
    // "=_" occurs in no quoted-printable and no base64 text (RFC 2045 section 6.7).
    boundaryPrefix: '=_mailroom',
    from: { ...from },
    to: copy(request.to),
    cc: copy(request.cc),
    replyTo: copy(request.replyTo),
    ...(sender && sender.address !== from.address ? { sender: { ...sender } } : {}),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    // RFC 5322 section 3.6.4: a reply refers at least to what it replies to.
    references: references.length > 0 ? [...references] : inReplyTo === undefined ? [] : [inReplyTo],
    ...(text ? { text: textToCrlf(text) } : {}),
    ...(html ? { html: textToCrlf(html) } : {}),
    alternatives: [body, invitation].filter((part) => part !== undefined),
    attachments: attachments.map((attachment) => attachmentPart(attachment, Boolean(html))),
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Headers written here and not by the composer, which would change the case of their names and encode quotes. */
function ownHeaders(request: SendRequest): string {
  return [
    textHeader('Subject', request.subject),
    ...priorityHeaders[request.priority].map(([name, value]) => `${name}: ${value}`),
    ...request.headers.map(({ name, value }) => structuredHeader(name, value)),
  ]
    .map((lines) => `${lines}\r\n`)
    .join('');
}

async function* mimeText(request: SendRequest, fixed: FixedParts): AsyncGenerator<Buffer> {
  const check = new LineCheck();
  const checked = (chunk: Buffer) => {
    const mistake = check.push(chunk);
    // Everything was checked or encoded before; a mail that is wrong on the wire all the same must not be stored.
    if (mistake !== undefined) throw new Error(`The composed mail is not fit to be sent: ${mistake}`);
    return chunk;
  };
  yield checked(Buffer.from(ownHeaders(request), 'utf8'));
  const message = new MailComposer(options(request, fixed)).compile();
  for await (const chunk of message.createReadStream()) yield checked(Buffer.from(chunk));
}

/**
 * Composes the MIME of a request (RFC 5322, RFC 2045 to 2047, RFC 2231): text and HTML as alternatives, inline parts
 * beside the HTML, an invitation as the last alternative. Nothing in it is read from files or URLs.
 */
export function composeMail(request: SendRequest, fixed: FixedParts): ComposedMail {
  const { envelope, bcc } = envelopeOf(request.envelopeFrom, request, request.dsn);
  return {
    envelope,
    bcc,
    headerFrom: request.from.address,
    messageId: fixed.messageId,
    date: fixed.date.getTime(),
    ...(request.sendAt === undefined ? {} : { sendAt: request.sendAt }),
    open: () => Readable.from(mimeText(request, fixed), { objectMode: false }),
  };
}
