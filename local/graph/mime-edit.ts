import type { StoredAttachment } from './attachment.ts';
import { delimiters, fieldValue, type HeaderField, readEntity, readFields } from './mime-reader.ts';
import { attachmentPart, boundaryOf } from './mime-writer.ts';

export interface HeaderEdit {
  /** Fields that go, by their name in lower case. */
  readonly drop: (name: string) => boolean;
  /** Whole lines, without line end, that are put in front. */
  readonly add?: readonly string[];
}

/** A message with other header fields; its body is the same bytes. The same buffer where nothing changes. */
export function editHeader(bytes: Buffer, edit: HeaderEdit): Buffer {
  const { fields, bodyStart } = readFields(bytes);
  const kept = fields.filter((field) => !edit.drop(field.name.toLowerCase()));
  const add = edit.add ?? [];
  if (kept.length === fields.length && add.length === 0) return bytes;
  const lines = add.map((line) => Buffer.from(`${line}\r\n`, 'utf8'));
  return Buffer.concat([...lines, ...kept.map((field) => ended(bytes, field)), emptyLine, bytes.subarray(bodyStart)]);
}

const emptyLine = Buffer.from('\r\n');

/** A field with its line end, also where it was the last thing of a message. */
function ended(bytes: Buffer, field: HeaderField): Buffer {
  const raw = bytes.subarray(field.start, field.end);
  return raw.at(-1) === 0x0a ? raw : Buffer.concat([raw, emptyLine]);
}

/**
 * A message of MIME with attachments added behind what it has: in its own multipart/mixed, or in one put around it.
 * The parts that were there stay byte for byte.
 */
export function* withAttachments(bytes: Buffer, attachments: readonly StoredAttachment[]): Generator<Buffer> {
  const entity = readEntity(bytes);
  const { boundary = '' } = entity.parameters;
  const last =
    entity.type === 'multipart/mixed' && boundary !== ''
      ? [...delimiters(bytes, entity.bodyStart, entity.end, boundary)].find((one) => one.last)
      : undefined;
  if (last) {
    yield bytes.subarray(0, last.lineStart);
    yield* parts(attachments, boundary);
    yield bytes.subarray(last.lineStart);
    return;
  }
  const wrap = boundaryOf(fieldValue(entity.fields, 'message-id') ?? '', 'added');
  const ofContent = (field: HeaderField) => field.name.toLowerCase().startsWith('content-');
  for (const field of entity.fields) if (!ofContent(field)) yield ended(bytes, field);
  yield Buffer.from(`Content-Type: multipart/mixed; boundary="${wrap}"\r\n\r\n--${wrap}\r\n`);
  for (const field of entity.fields) if (ofContent(field)) yield ended(bytes, field);
  yield emptyLine;
  yield bytes.subarray(entity.bodyStart);
  yield* parts(attachments, wrap);
  yield Buffer.from(`\r\n--${wrap}--\r\n`);
}

function* parts(attachments: readonly StoredAttachment[], boundary: string): Generator<Buffer> {
  for (const attachment of attachments) {
    if (attachment.kind === 'reference') continue;
    yield Buffer.from(`\r\n--${boundary}\r\n`);
    yield* attachmentPart(attachment);
  }
}
