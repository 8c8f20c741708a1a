import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import MailComposer, { type MailComposerAttachment, type MailComposerOptions } from 'nodemailer/lib/mail-composer';
import type { Mailbox } from '../../accounts/address.ts';
import type { OutgoingMail } from '../../adapters/transport.ts';
import { placeholder, type UploadPlace, withoutPlaceholders } from '../uploads/upload-places.ts';
import { type Attachment, isMessagePart } from './attachments.ts';
import { LineCheck, textToCrlf, toCrlf } from './crlf-lines.ts';
import { envelopeOf } from './envelope.ts';
import { structuredHeader, textHeader } from './header-text.ts';
import type { SendRequest } from './send-request.ts';

/** What composing must not decide again: with the same of these, the same request gives the same bytes. */
export interface FixedParts {
  /** With its angle brackets. */
  readonly messageId: string;
  readonly date: Date;
  /** Boundaries follow from it; default: the Message-ID. Nobody who writes a body may know it beforehand. */
  readonly boundarySeed?: string;
}

/** A mail composed of a request. */
export interface ComposedMail extends OutgoingMail {
  /** Not before this instant, in ms since the epoch. */
  readonly sendAt?: number;
  /** Ids of the uploads in it, each once. */
  readonly uploads: readonly string[];
  /**
   * The MIME text from its first byte: CRLF line ends, no Bcc, no line over 998 octets. The same bytes every time. Uploads
   * are left out; `found` is given the place of each as the text passes it.
   */
  open(found?: (place: UploadPlace) => void): Readable;
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

/** `content`: of an upload, what stands for it. */
function attachmentPart(attachment: Attachment, content: Buffer, hasHtml: boolean): MailComposerAttachment {
  const { filename, contentType, contentId } = attachment;
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

const seedOf = ({ boundarySeed, messageId }: FixedParts) => boundarySeed ?? messageId;

/** Ids of the uploads that a request names, each once. */
function uploadsOf({ attachments }: SendRequest): readonly string[] {
  return [...new Set(attachments.map(({ upload }) => upload).filter((id) => id !== undefined))];
}

function options(request: SendRequest, fixed: FixedParts): MailComposerOptions {
  const { from, sender, text, html, calendar, attachments, inReplyTo, references } = request;
  const copy = (mailboxes: readonly Mailbox[]) => mailboxes.map((mailbox) => ({ ...mailbox }));
  const uploads = uploadsOf(request);
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
    baseBoundary: createHash('sha256').update(seedOf(fixed)).digest('hex').slice(0, 24),
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
    attachments: attachments.map((attachment) => {
      const { content, upload } = attachment;
      const bytes = upload === undefined ? content : placeholder(seedOf(fixed), uploads.indexOf(upload));
      return attachmentPart(attachment, bytes, Boolean(html));
    }),
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
    // Everything was checked or encoded before; a mail whose text is wrong all the same must not be stored.
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
  const uploads = uploadsOf(request);
  const text = (found: (place: UploadPlace) => void) => {
    const whole = mimeText(request, fixed);
    return uploads.length === 0 ? whole : withoutPlaceholders(whole, seedOf(fixed), found);
  };
  return {
    envelope,
    bcc,
    headerFrom: request.from.address,
    messageId: fixed.messageId,
    date: fixed.date.getTime(),
    ...(request.sendAt === undefined ? {} : { sendAt: request.sendAt }),
    uploads,
    open: (found = () => undefined) => Readable.from(text(found), { objectMode: false }),
  };
}
