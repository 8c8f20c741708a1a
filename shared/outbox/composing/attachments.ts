import { detectMimeType } from 'nodemailer/lib/mime-funcs';
import { z } from 'zod';
import { controlCharacters } from '../../accounts/address.ts';
import { defined } from '../../platform/defined.ts';
import { peek } from '../../platform/validation.ts';
import { isUploadId } from '../uploads/uploads.ts';
import { lineMistake, toCrlf } from './crlf-lines.ts';

interface AttachmentFields {
  readonly filename: string;
  readonly contentType: string;
  /** Without angle brackets. */
  readonly contentId?: string;
  /** Absent: it follows from the rest of the mail. */
  readonly disposition?: 'inline' | 'attachment';
}

/** An attachment with its bytes, or with the id of the upload that has them. */
export type Attachment = AttachmentFields &
  (
    | { readonly content: Buffer; readonly upload?: undefined }
    | { readonly upload: string; readonly content?: undefined }
  );

/** Contract: attachments given inline, decoded, all together. */
export const maxInlineBytes = 35 * 1024 * 1024;

/** Of one mail. */
export const maxAttachments = 200;

/** What file systems keep of a name. */
const maxFilename = 255;

/** Content-Type of RFC 2045 section 5.1: type, subtype, parameters. */
const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const contentTypePattern = new RegExp(
  // White space belongs to the parameter that follows it; what stands at the end is trimmed before.
  `^${token}/${token}(?:\\s*;\\s*${token}=(?:${token}|"(?:[^"\\\\\\u0000-\\u001f\\u007f]|\\\\[ -~])*"))*$`,
);

const oneLine = (max: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(max, { error: `must be at most ${max} characters`, abort: true })
    .refine((text) => !controlCharacters.test(text) && text.isWellFormed(), {
      error: 'must not contain line breaks or control characters',
      abort: true,
    });

const contentTypeSchema = oneLine(200)
  .refine(
    (text) => /^[\u0020-\u007e]*$/.test(text) && contentTypePattern.test(text.trimEnd().replace(/;$/, '').trimEnd()),
    'must be a media type, such as application/pdf',
  )
  .refine((text) => !/^multipart\//i.test(text), 'must not be multipart: an attachment is one part');

const contentIdSchema = oneLine(250)
  .transform((text) => text.replace(/^<(.*)>$/, '$1'))
  .refine((text) => /^[\u0021-\u003b\u003d\u003f-\u007e]+$/.test(text), 'must be printable characters without spaces');

/** Decodes base64 of RFC 4648 section 4: no other characters, no line breaks, right padding. Undefined if it is not. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0) return undefined;
  const data = text.replace(/={1,2}$/, '');
  // A search for what must not be there: the opposite pattern needs a stack as long as the text.
  if (/[^A-Za-z0-9+/]/.test(data)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Bits beyond the last byte must be zero, or two texts would stand for the same bytes.
  const tail = bytes.subarray(bytes.length - (bytes.length % 3 || 3)).toString('base64');
  return text.endsWith(tail) ? bytes : undefined;
}

const contentSchema = z
  .string()
  .transform((text, context): Buffer => {
    const bytes = decodeBase64(text);
    if (bytes !== undefined) return bytes;
    context.addIssue({ code: 'custom', message: 'must be base64 (RFC 4648 section 4), without line breaks' });
    return z.NEVER;
  })
  .meta({ contentEncoding: 'base64' });

function mediaTypeOf(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Parts of type message/* may not be encoded (RFC 2046 section 5.2): their lines go as they are. */
export function isMessagePart(contentType: string): boolean {
  return mediaTypeOf(contentType).startsWith('message/');
}

/**
 * The type a file name suggests; one whose content cannot travel under that type goes as plain bytes. Nobody has looked
 * into an upload (no `content`), which is always sent encoded.
 */
function guessType(filename: string, content?: Buffer): string {
  const guess = detectMimeType(filename.split('.').at(-1) ?? '');
  const travels = !isMessagePart(guess) || (content && lineMistake(toCrlf(content)) === undefined);
  return travels ? guess : 'application/octet-stream';
}

const attachmentSchema = z
  .strictObject({
    filename: oneLine(maxFilename),
    contentType: contentTypeSchema.optional(),
    contentId: contentIdSchema.optional(),
    disposition: z.enum(['inline', 'attachment']).optional(),
    content: contentSchema.optional(),
    upload: z.string().refine(isUploadId, 'must be the id of an upload, as POST /uploads answers it').optional(),
  })
  .superRefine(({ content, upload, contentType }, context) => {
    const mistake = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (content === undefined && upload === undefined) mistake('content', 'is required, or else upload');
    if (content !== undefined && upload !== undefined) mistake('upload', 'cannot be given beside content');
    if (contentType === undefined || !isMessagePart(contentType)) return;
    const sendAs = `${mediaTypeOf(contentType)}, which must not be encoded`;
    if (upload !== undefined)
      mistake('contentType', `is ${sendAs}, as every upload is; send it as application/octet-stream`);
    const lines = content && lineMistake(toCrlf(content));
    if (lines !== undefined)
      mistake('content', `cannot travel as ${sendAs}: ${lines}; send it as application/octet-stream`);
  })
  .transform(({ upload, content, contentType, filename, ...others }): Attachment => {
    const fields = { ...defined(others), filename, contentType: contentType ?? guessType(filename, content) };
    return upload === undefined ? { ...fields, content: content ?? Buffer.alloc(0) } : { ...fields, upload };
  });

export const attachmentsSchema = z.array(attachmentSchema).max(maxAttachments, `must be at most ${maxAttachments}`);

/** Bytes the inline attachments of an unchecked request decode to. */
export function inlineBytes(request: unknown): number {
  const attachments = peek(request, ['attachments']);
  if (!Array.isArray(attachments)) return 0;
  return attachments.reduce<number>((sum, attachment: unknown) => {
    const content = peek(attachment, ['content']);
    return typeof content === 'string' ? sum + Buffer.byteLength(content, 'base64') : sum;
  }, 0);
}
