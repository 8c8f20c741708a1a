import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { AttachmentPart, ParsedMail } from './mail.ts';
import { type ReadMimeOptions, readMime } from './read-mime.ts';

export interface Collected {
  readonly mail: ParsedMail;
  readonly parts: readonly AttachmentPart[];
  /** What the sink got, in the order of the mail. */
  readonly contents: readonly Buffer[];
  readonly long: ReadonlyMap<string, Buffer>;
}

/** Reads a mail with a sink that keeps everything, and checks size and hash of each attachment on the way. */
export async function collect(source: Buffer | Readable | string, options: ReadMimeOptions = {}): Promise<Collected> {
  const parts: AttachmentPart[] = [];
  const contents: Buffer[] = [];
  const long = new Map<string, Buffer>();
  const input = typeof source === 'string' ? Buffer.from(source, 'utf8') : source;
  const mail = await readMime(
    input,
    {
      attachment: async (part, content) => {
        parts.push(part);
        contents.push(await buffer(content));
      },
      longBody: async (kind, content) => {
        if (long.has(kind)) throw new Error(`longBody was called twice for ${kind}`);
        long.set(kind, await buffer(content));
      },
    },
    options,
  );
  for (const [index, attachment] of mail.attachments.entries()) {
    const bytes = contents[index];
    const sha256 = bytes && createHash('sha256').update(bytes).digest('hex');
    if (attachment.size !== bytes?.length || attachment.sha256 !== sha256 || attachment.n !== index + 1) {
      throw new Error(`attachment ${attachment.n} is not described as it was delivered`);
    }
  }
  return { mail, parts, contents, long };
}

/** A stream that brings `bytes` in chunks of `size`. */
export function inChunks(bytes: Buffer, size: number): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
  );
}

/** Joins lines with CRLF. */
export function lines(...text: readonly string[]): string {
  return text.join('\r\n');
}

/** Header lines every whole mail has, so that tests of other things find no defects of these. */
export const head = lines(
  'From: Ann <ann@example.com>',
  'To: bob@example.com',
  'Subject: Hello',
  'Date: Mon, 02 Jan 2023 03:04:05 +0100',
  'Message-ID: <1@example.com>',
  'MIME-Version: 1.0',
);
