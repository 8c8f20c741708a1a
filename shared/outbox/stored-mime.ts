import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { MemoryShare, type Share } from '../platform/memory-share.ts';
import { largeMailFrom, spentBuffers } from '../platform/spent-buffers.ts';
import type { OutboxContext } from './context.ts';
import { mimePath, uploadPath } from './keys.ts';
import type { MessageRecord } from './record.ts';
import { base64Lines, encodedSize, lineAt, wholeLines } from './uploads/base64-lines.ts';

/** Mail up to this many bytes is read from storage in one piece, so that a slow server does not hold a download open. */
const wholeBelow = largeMailFrom;

/** Mail up to this many bytes is held in memory while it waits for a connection, which then waits for no storage. */
export const heldBelow = 256 << 10;

/** Bytes of one ranged read: one is being read, one with the reader, and one copied. */
const pieces = new MemoryShare({ bytes: 8 << 20, most: 2 << 20, least: 128 << 10 });
const buffersOfReader = 3;

/** A part of the MIME text of a message, as it is kept. */
interface Segment {
  /** Of an upload, which is encoded as it is read: the ETag and bytes of its blob. Absent: text. */
  readonly upload?: { readonly etag: string; readonly bytes: number };
  readonly path: string;
  /** Where it begins in its blob. */
  readonly from: number;
  /** Octets in the MIME text. */
  readonly length: number;
}

/** Octets of a text, or of a segment of it. */
interface Range {
  readonly offset: number;
  readonly count: number;
}

/** The MIME text of a message from its first byte: the same bytes every time. Throws errors of the storage. */
export async function openMime(context: OutboxContext, record: MessageRecord, signal: AbortSignal): Promise<Readable> {
  const { account, localId, size, uploads } = record;
  if (size > wholeBelow || uploads) return await openMimeRange(context, record, { offset: 0, count: size }, signal);
  const blob = (await context.mime()).getBlockBlobClient(mimePath(account, localId));
  const { readableStreamBody } = await blob.download(0, undefined, { abortSignal: signal });
  const chunks: Buffer[] = [];
  for await (const chunk of readableStreamBody ?? []) {
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }
  return Readable.from([Buffer.concat(chunks)]);
}

/**
 * Octets of the MIME text of a message, read in pieces instead of by one long download: a slow server may take longer
 * than storage keeps a connection open. Memory: a few pieces, whatever its uploads have. Throws errors of the storage.
 */
export async function openMimeRange(
  context: OutboxContext,
  record: MessageRecord,
  range: Range,
  signal: AbortSignal,
): Promise<Readable> {
  const share = pieces.acquire(buffersOfReader);
  let stream: Readable | undefined;
  try {
    const read = mimePieces(await context.mime(), record, range, { share, signal });
    // What cannot be read at all is known before anybody is answered.
    const first = await read.next();
    stream = Readable.from(joined(first.done ? [] : [first.value], read), { objectMode: false, highWaterMark: 0 });
    return stream;
  } finally {
    // Also where nobody reads it, of which its source hears nothing.
    if (stream) stream.once('close', () => share.release());
    else share.release();
  }
}

async function* joined(first: Buffer[], others: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // Let go of while others are read.
  for (let next = first.pop(); next; next = first.pop()) yield next;
  yield* others;
}

interface ReadOptions {
  readonly share: Share;
  readonly signal: AbortSignal;
}

async function* mimePieces(
  container: ContainerClient,
  record: MessageRecord,
  { offset, count }: Range,
  options: ReadOptions,
): AsyncGenerator<Buffer> {
  const end = offset + count;
  let at = 0;
  for (const segment of segmentsOf(record)) {
    const first = Math.max(offset, at) - at;
    const last = Math.min(end, at + segment.length) - at;
    at += segment.length;
    if (first >= last) continue;
    const part = { offset: first, count: last - first };
    yield* segment.upload
      ? encodedPieces(container, { ...segment, upload: segment.upload }, part, options)
      : textPieces(container, segment, part, options);
  }
}

function segmentsOf({ account, localId, size, uploads = [] }: MessageRecord): readonly Segment[] {
  const path = mimePath(account, localId);
  const segments: Segment[] = [];
  let from = 0;
  for (const { at, upload, size: bytes, etag } of uploads) {
    segments.push({ path, from, length: at - from });
    segments.push({
      upload: { etag, bytes },
      path: uploadPath(account, localId, upload),
      from: 0,
      length: encodedSize(bytes),
    });
    from = at;
  }
  const encoded = uploads.reduce((sum, upload) => sum + encodedSize(upload.size), 0);
  segments.push({ path, from, length: size - encoded - from });
  return segments;
}

async function* textPieces(
  container: ContainerClient,
  { path, from }: Segment,
  { offset, count }: Range,
  { share, signal }: ReadOptions,
): AsyncGenerator<Buffer> {
  const blob = container.getBlockBlobClient(path);
  for (let at = 0; at < count; ) {
    const length = Math.min(share.size, count - at);
    yield await blob.downloadToBuffer(from + offset + at, length, { abortSignal: signal });
    at += length;
    if (count > largeMailFrom) spentBuffers(length);
  }
}

/** An upload as its part of the mail has it. Throws where the blob is not the one that the mail was accepted with. */
async function* encodedPieces(
  container: ContainerClient,
  { path, upload }: Segment & { readonly upload: NonNullable<Segment['upload']> },
  { offset, count }: Range,
  { share, signal }: ReadOptions,
): AsyncGenerator<Buffer> {
  const blob = container.getBlockBlobClient(path);
  const options = { abortSignal: signal, conditions: { ifMatch: upload.etag } };
  const begin = lineAt(offset);
  let skip = offset - begin.encoded;
  let left = count;
  for (let at = begin.byte; left > 0; ) {
    // The bytes and their text have about one share.
    const length = Math.min(wholeLines(share.size / 2), upload.bytes - at);
    const bytes = await blob.downloadToBuffer(at, length, options);
    at += length;
    const piece = base64Lines(bytes, at === upload.bytes).subarray(skip, skip + left);
    skip = 0;
    left -= piece.length;
    yield piece;
    if (upload.bytes > largeMailFrom) spentBuffers(piece.length);
  }
}
