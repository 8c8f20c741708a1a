import type { Defects } from '../../../mime/mail.ts';
import { conventionalName } from '../../../mime/part-role.ts';
import { type TransferDecoder, transferDecoder } from '../../../mime/transfer-encoding.ts';
import { spentBuffers } from '../../../platform/spent-buffers.ts';
import { mailText } from '../../mail-text.ts';
import type { FrozenMail, Trouble } from '../../transport.ts';
import { type Leaf, PartScanner, type Piece } from './part-scanner.ts';

/** An attachment that a draft gets beside its text. */
export interface DetachedPart {
  readonly leaf: Leaf;
  readonly name: string;
  readonly contentType: string;
  readonly contentId: string | undefined;
  readonly inline: boolean;
  /** Bytes after transfer decoding. */
  readonly size: number;
}

/** A mail as it goes to Graph in parts. */
export interface DividedMail {
  /** The mail without its detached parts: still a whole mail, with every header, body and small part. */
  readonly text: Buffer;
  readonly detached: readonly DetachedPart[];
}

/** Largest attachment that Graph takes at all (Microsoft Learn, "attachment: createUploadSession"). */
const maxAttachment = 150_000_000;

/** Raw text buffered while the parts are looked at, as a multiple of the limit; above, the largest part is detached in any case. */
const bufferFactor = 2;

/** Graph takes the mail neither whole nor with its attachments apart. */
export class MailTooLarge extends Error {
  override readonly name = 'MailTooLarge';
}

/** What the receipt of such a mail says. */
export const tooLargeTrouble: Trouble = {
  scope: 'message',
  code: 'MAIL_TOO_LARGE',
  hint: 'Microsoft Graph takes a mail of more than 3 MB only where attachments make it large, each of at most 150 MB.',
};

interface ScannedPart {
  readonly leaf: Leaf;
  readonly decoder: DecodedBody;
  size: number;
  raw: Buffer[] | undefined;
  rawSize: number;
}

/**
 * Divides a mail whose text is larger than Graph takes in one request: its largest attachments are detached until the
 * rest fits into `limit` bytes. Nothing else is touched: bodies, their alternatives, calendar parts, every header field
 * and the smaller attachments stay as they are. Memory: a few times the limit. Throws TextUnusable, MailTooLarge.
 */
export async function divideMail(mail: FrozenMail, limit: number, signal: AbortSignal): Promise<DividedMail> {
  const order: (Buffer | ScannedPart)[] = [];
  const parts: ScannedPart[] = [];
  let fixed = 0;
  let buffered = 0;
  for await (const piece of piecesOf(mail, signal)) {
    if (piece.kind === 'frame') {
      order.push(Buffer.from(piece.bytes));
      fixed += piece.bytes.length;
    } else {
      let part = parts.at(-1);
      if (part?.leaf !== piece.leaf) {
        part = { leaf: piece.leaf, decoder: new DecodedBody(piece.leaf), size: 0, raw: [], rawSize: 0 };
        parts.push(part);
        order.push(part);
      }
      part.rawSize += piece.bytes.length;
      if (!piece.leaf.detachable) fixed += piece.bytes.length;
      else if (piece.kind === 'body') part.size += part.decoder.write(piece.bytes).length;
      if (part.raw) {
        part.raw.push(Buffer.from(piece.bytes));
        buffered += piece.bytes.length;
      }
    }
    if (fixed > limit) throw new MailTooLarge();
    while (buffered > limit * bufferFactor) {
      const largest = largestOf(parts.filter((part) => part.raw && part.leaf.detachable));
      if (!largest) throw new MailTooLarge();
      buffered -= bufferedSize(largest);
      largest.raw = undefined;
    }
  }
  const detached = new Set(parts.filter((part) => !part.raw));
  let size = parts.reduce((sum, part) => sum + (detached.has(part) ? 0 : part.rawSize), sizeOfFrames(order));
  while (size > limit) {
    const largest = largestOf(parts.filter((part) => part.leaf.detachable && !detached.has(part)));
    if (!largest) throw new MailTooLarge();
    detached.add(largest);
    size -= largest.rawSize;
  }
  return { text: textWithout(order, detached), detached: [...detached].map(describe).sort(byPlace) };
}

const bufferedSize = (part: ScannedPart) => (part.raw ?? []).reduce((sum, bytes) => sum + bytes.length, 0);
const sizeOfFrames = (order: readonly (Buffer | ScannedPart)[]) =>
  order.reduce((sum, each) => sum + (Buffer.isBuffer(each) ? each.length : 0), 0);
const byPlace = (a: DetachedPart, b: DetachedPart) => a.leaf.index - b.leaf.index;

function largestOf(parts: readonly ScannedPart[]): ScannedPart | undefined {
  return parts.reduce<ScannedPart | undefined>(
    (most, part) => (most && most.rawSize >= part.rawSize ? most : part),
    undefined,
  );
}

function describe({ leaf, size, decoder }: ScannedPart): DetachedPart {
  const total = size + decoder.end().length;
  if (total > maxAttachment) throw new MailTooLarge();
  const { header, index } = leaf;
  const extension = header.contentType === 'message/rfc822' ? '.eml' : '';
  const charset = header.contentType.startsWith('text/') && header.charset ? `; charset=${header.charset}` : '';
  return {
    leaf,
    name: header.filename ?? conventionalName(header.contentType) ?? `attachment-${index + 1}${extension}`,
    contentType: `${header.contentType}${charset}`,
    contentId: header.contentId,
    inline: leaf.inline && header.contentId !== undefined,
    size: total,
  };
}

/** The kept pieces, in their order. A multipart that would be empty gets an empty text: some readers refuse none. */
function textWithout(order: readonly (Buffer | ScannedPart)[], detached: ReadonlySet<ScannedPart>): Buffer {
  const filled = new Set<number>();
  for (const each of order) {
    if (!Buffer.isBuffer(each) && !detached.has(each)) for (const multipart of each.leaf.around) filled.add(multipart);
  }
  const chunks = order.flatMap((each) => {
    if (Buffer.isBuffer(each)) return [each];
    if (!detached.has(each)) return each.raw ?? [];
    const { around, boundary } = each.leaf;
    if (filled.has(around.at(-1) ?? -1)) return [];
    for (const multipart of around) filled.add(multipart);
    return [Buffer.from(`--${boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\r\n`, 'latin1')];
  });
  return Buffer.concat(chunks);
}

async function* piecesOf(mail: FrozenMail, signal: AbortSignal): AsyncGenerator<Piece> {
  const scanner = new PartScanner();
  for await (const chunk of mailText(mail, signal)) {
    yield* scanner.push(chunk);
    // The scanner has joined it to what it had kept, and its content was decoded.
    spentBuffers(2 * chunk.length);
  }
  yield* scanner.end();
}

/** Contents of detached parts, decoded, in the order of the mail, which is read once more for it. */
export async function* detachedContents(
  mail: FrozenMail,
  detached: readonly DetachedPart[],
  signal: AbortSignal,
): AsyncGenerator<{ readonly part: DetachedPart; readonly bytes: Buffer; readonly last: boolean }> {
  const wanted = new Map(detached.map((part) => [part.leaf.index, part]));
  let current: { readonly part: DetachedPart; readonly decoder: DecodedBody } | undefined;
  for await (const piece of piecesOf(mail, signal)) {
    const index = piece.kind === 'frame' ? -1 : piece.leaf.index;
    if (current && current.part.leaf.index !== index) {
      yield { part: current.part, bytes: current.decoder.end(), last: true };
      current = undefined;
    }
    const part = wanted.get(index);
    if (!part || piece.kind === 'frame') continue;
    current ??= { part, decoder: new DecodedBody(piece.leaf) };
    if (piece.kind !== 'body') continue;
    const bytes = current.decoder.write(piece.bytes);
    if (bytes.length > 0) yield { part, bytes, last: false };
  }
  if (current) yield { part: current.part, bytes: current.decoder.end(), last: true };
}

/** Undoes a part's transfer encoding. The line end before a delimiter belongs to the delimiter. */
class DecodedBody {
  readonly #decoder: TransferDecoder;
  #lineEnd: Buffer = Buffer.alloc(0);

  constructor(leaf: Leaf) {
    const defects: Defects = new Set();
    this.#decoder = transferDecoder(leaf.header.encoding, defects);
  }

  write(bytes: Buffer): Buffer {
    const all = this.#lineEnd.length === 0 ? bytes : Buffer.concat([this.#lineEnd, bytes]);
    const end = lineEndAt(all);
    this.#lineEnd = Buffer.from(all.subarray(end));
    return Buffer.from(this.#decoder.write(all.subarray(0, end)));
  }

  end(): Buffer {
    const last = this.#lineEnd.at(-1) === 0x0a ? Buffer.alloc(0) : this.#lineEnd;
    this.#lineEnd = Buffer.alloc(0);
    return Buffer.concat([this.#decoder.write(last), this.#decoder.end()]);
  }
}

/** Where a line end at the end of the bytes begins, or its first half. */
function lineEndAt(bytes: Buffer): number {
  const last = bytes.at(-1);
  if (last === 0x0d) return bytes.length - 1;
  if (last !== 0x0a) return bytes.length;
  return bytes.at(-2) === 0x0d ? bytes.length - 2 : bytes.length - 1;
}
