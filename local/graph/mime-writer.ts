import { createHash } from 'node:crypto';
import libmime from 'libmime';
import { type Address, addressField } from './address.ts';
import type { StoredAttachment } from './attachment.ts';
import { base64Lines } from './base64-lines.ts';

/** What a message made of properties says, for its MIME. */
export interface WrittenMail {
  readonly from: Address;
  readonly sender?: Address | undefined;
  readonly to: readonly Address[];
  readonly cc: readonly Address[];
  /** Only in copies that stay in the mailbox. */
  readonly bcc: readonly Address[];
  readonly replyTo: readonly Address[];
  readonly subject: string;
  readonly messageId: string;
  /** Milliseconds since the epoch. */
  readonly date: number;
  readonly importance: string;
  /** Further fields: x- headers, In-Reply-To, References. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: { readonly contentType: 'text' | 'html'; readonly content: string };
  readonly attachments: readonly StoredAttachment[];
}

/** The message in pieces. One body, as a message of properties has it: text or HTML, never both. */
export function* writeMail(mail: WrittenMail): Generator<Buffer> {
  yield text(`${headerLines(mail).join('\r\n')}\r\n`);
  const attachments = mail.attachments.filter((one) => one.kind !== 'reference');
  const isHtml = mail.body.contentType === 'html';
  const related = isHtml ? attachments.filter((one) => one.isInline && one.contentId !== null) : [];
  const mixed = attachments.filter((one) => !related.includes(one));
  const { messageId } = mail;
  yield* wrapped('mixed', messageId, mixed, () => wrapped('related', messageId, related, () => bodyPart(mail.body)));
}

/** A multipart of a first part and attachments; the first part alone where there are none. */
function* wrapped(
  subtype: 'mixed' | 'related',
  messageId: string,
  attachments: readonly StoredAttachment[],
  first: () => Generator<Buffer>,
): Generator<Buffer> {
  if (attachments.length === 0) {
    yield* first();
    return;
  }
  const boundary = boundaryOf(messageId, subtype);
  yield text(`Content-Type: multipart/${subtype}; boundary="${boundary}"\r\n\r\n--${boundary}\r\n`);
  yield* first();
  for (const attachment of attachments) {
    yield text(`\r\n--${boundary}\r\n`);
    yield* attachmentPart(attachment);
  }
  yield text(`\r\n--${boundary}--\r\n`);
}

/** The same for the same message, so that it is the same bytes whenever it is written. */
export function boundaryOf(messageId: string, subtype: string): string {
  return `_${createHash('sha256').update(`${subtype} ${messageId}`).digest('hex').slice(0, 40)}_`;
}

function* bodyPart(body: WrittenMail['body']): Generator<Buffer> {
  const subtype = body.contentType === 'html' ? 'html' : 'plain';
  yield text(`Content-Type: text/${subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n`);
  yield* base64Lines([Buffer.from(body.content, 'utf8')]);
}

/** Header and content of one attachment, without delimiters. */
export function* attachmentPart(attachment: StoredAttachment): Generator<Buffer> {
  const { kind, name, contentId, isInline } = attachment;
  if (kind === 'item') {
    yield text('Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n');
    yield* attachment.chunks();
    return;
  }
  const type = attachment.contentType ?? 'application/octet-stream';
  const fileName = name === null ? '' : parameter('filename', name);
  yield text(
    `Content-Type: ${/^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0] ?? 'application/octet-stream'}${name === null ? '' : parameter('name', name)}\r\n` +
      `Content-Disposition: ${isInline ? 'inline' : 'attachment'}${fileName}\r\n` +
      `${contentId === null ? '' : `Content-ID: <${oneLine(contentId)}>\r\n`}` +
      'Content-Transfer-Encoding: base64\r\n\r\n',
  );
  yield* base64Lines(attachment.chunks());
}

/** A parameter of a MIME header, encoded where it must be (RFC 2231). */
function parameter(key: string, value: string): string {
  const clean = oneLine(value);
  if (/^[\x20-\x7e]{0,60}$/.test(clean)) return `;\r\n ${key}="${clean.replace(/["\\]/g, '\\$&')}"`;
  return libmime
    .buildHeaderParam(key, clean, 50)
    .map((part) => `;\r\n ${part.key}=${part.value}`)
    .join('');
}

function headerLines(mail: WrittenMail): readonly string[] {
  const lines = [
    `From: ${addressField([mail.from])}`,
    ...(mail.sender ? [`Sender: ${addressField([mail.sender])}`] : []),
    ...addressLine('To', mail.to),
    ...addressLine('CC', mail.cc),
    ...addressLine('Bcc', mail.bcc),
    ...addressLine('Reply-To', mail.replyTo),
    `Subject: ${encodedLine(mail.subject)}`,
    `Message-ID: ${oneLine(mail.messageId)}`,
    `Date: ${new Date(mail.date).toUTCString().replace('GMT', '+0000')}`,
    ...(mail.importance === 'normal' ? [] : [`Importance: ${mail.importance}`]),
    ...mail.headers.map(({ name, value }) => `${name}: ${encodedLine(value)}`),
    'MIME-Version: 1.0',
  ];
  return lines;
}

function addressLine(name: string, addresses: readonly Address[]): readonly string[] {
  return addresses.length === 0 ? [] : [`${name}: ${addressField(addresses)}`];
}

/** Unstructured text of a header: encoded words where it is not ASCII (RFC 2047), folded where it is long. */
export function encodedLine(value: string): string {
  const clean = oneLine(value);
  const encoded = /^[\x20-\x7e]*$/.test(clean) ? clean : libmime.encodeWords(clean, 'B', 52);
  return libmime.foldLines(encoded, 76).replace(/\r?\n/g, '\r\n');
}

function oneLine(value: string): string {
  return value.replace(/[\r\n]+/g, ' ');
}

function text(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}
