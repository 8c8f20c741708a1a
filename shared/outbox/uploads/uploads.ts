import { createHash, randomBytes } from 'node:crypto';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { log, msSince } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { storageStatus } from '../../platform/storage.ts';
import { uploadUnknown } from '../../platform/upload.ts';
import type { OutboxContext } from '../context.ts';

/** Contract: bytes of one upload, and of all attachments of a mail together. */
export const maxUploadBytes = 150 * 1024 * 1024;

/** An upload can be named by messages for this long. In ms. */
export const uploadLifeMs = 24 * 3_600_000;

/** A message that named an upload in its last moment still finds it: longer than any request takes. In ms. */
const graceMs = 3_600_000;

/** 160 bits of chance: whoever knows an id may send its bytes. */
const idBytes = 20;
const idPattern = /^[0-9a-f]{40}$/;

/** What storage answers for a blob that is not there any more, or not as it was listed. */
const goneOrChanged: ReadonlySet<number> = new Set([404, 409, 412]);

/** Requests to storage at one time. */
const concurrentRequests = 8;

/** Uploads that one run of the timer removes at most; the others follow in the next. */
const batch = 2_000;

/** The bytes of an attachment, kept until a message names them. */
export interface Upload {
  readonly id: string;
  /** Bytes; at least one. */
  readonly size: number;
  /** Of those bytes: they are never written again. */
  readonly etag: string;
  /** In ms. */
  readonly expiresAt: number;
}

type UploadContext = Pick<OutboxContext, 'clock' | 'uploads'>;

interface Options {
  readonly signal: AbortSignal;
}

/** Whether a text can be the id of an upload. */
export const isUploadId = (text: string): boolean => idPattern.test(text);

/**
 * Keeps the bytes of an attachment as they come, with a few blocks in memory. Throws Refusal `invalid` where there are
 * none, and `tooLarge` beyond 150 MiB; then, and where the source fails, nothing is kept: blocks that were written and
 * never became a blob are dropped by the storage (Put Block, remarks: after a week).
 */
export async function storeUpload(
  { clock, uploads }: UploadContext,
  source: AsyncIterable<Uint8Array>,
  { signal }: Options,
): Promise<{ readonly id: string; readonly size: number; readonly sha256: string; readonly expiresAt: number }> {
  const began = performance.now();
  const id = randomBytes(idBytes).toString('hex');
  const hash = createHash('sha256');
  let end: { sha256: string; expiresAt: number } | undefined;
  const metadata = () => {
    end = { sha256: hash.digest('hex'), expiresAt: clock.now() + uploadLifeMs };
    return { sha256: end.sha256, expiresat: String(end.expiresAt) };
  };
  const size = await uploadUnknown((await uploads()).getBlockBlobClient(id), bounded(source, hash), {
    contentType: 'application/octet-stream',
    signal,
    metadata,
  });
  if (!end) throw new Error('An upload was written without its metadata');
  log.info('outbox.uploaded', { bytes: size, ms: msSince(began) });
  return { id, size, ...end };
}

async function* bounded(
  source: AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxUploadBytes) throw uploadTooLarge();
    hash.update(chunk);
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (size === 0) throw new Refusal('invalid', 'The body is empty; the bytes of a file are expected.');
}

/** An upload has more bytes than are taken. */
export function uploadTooLarge(): Refusal {
  return new Refusal('tooLarge', `An upload is at most ${maxUploadBytes} bytes.`);
}

/** The uploads of these ids that there are; expired ones among them, as long as they are not removed. */
export async function findUploads(
  { uploads }: UploadContext,
  ids: readonly string[],
  { signal }: Options,
): Promise<ReadonlyMap<string, Upload>> {
  if (ids.length === 0) return new Map();
  const container = await uploads();
  const found = await mapConcurrently(ids, concurrentRequests, async (id) => {
    try {
      const { contentLength, etag, metadata } = await container
        .getBlobClient(id)
        .getProperties({ abortSignal: signal });
      const expiresAt = expiryOf(metadata);
      if (contentLength === undefined || etag === undefined || expiresAt === undefined) return [];
      return [[id, { id, size: contentLength, etag, expiresAt }] as const];
    } catch (error) {
      if (storageStatus(error) === 404) return [];
      throw error;
    }
  });
  return new Map(found.flat());
}

function expiryOf(metadata: Readonly<Record<string, string>> | undefined): number | undefined {
  const expiresAt = Number(metadata?.expiresat);
  return expiresAt > 0 ? expiresAt : undefined;
}

/**
 * Removes uploads whose life is over. Mails that named them have copies of their own. One that somebody else removed or
 * wrote anew since it was listed is left to him. What storage refuses otherwise is thrown once the others are removed.
 */
export async function removeExpiredUploads({ clock, uploads }: UploadContext, { signal }: Options): Promise<void> {
  const container = await uploads();
  const before = clock.now() - graceMs;
  const old: { readonly name: string; readonly etag: string }[] = [];
  for await (const { name, properties, metadata } of container.listBlobsFlat({
    includeMetadata: true,
    abortSignal: signal,
  })) {
    const expiresAt = expiryOf(metadata) ?? properties.lastModified.getTime() + uploadLifeMs;
    if (expiresAt < before) old.push({ name, etag: properties.etag });
    if (old.length === batch) break;
  }
  const failures: unknown[] = [];
  const removed = await mapConcurrently(old, concurrentRequests, async ({ name, etag }) => {
    signal.throwIfAborted();
    try {
      await container.getBlobClient(name).delete({ abortSignal: signal, conditions: { ifMatch: etag } });
      return 1;
    } catch (error) {
      if (!goneOrChanged.has(storageStatus(error) ?? 0)) failures.push(error);
      return 0;
    }
  });
  const uploadsRemoved = removed.reduce((sum: number, one) => sum + one, 0);
  if (uploadsRemoved > 0) log.info('outbox.uploadsRemoved', { uploads: uploadsRemoved });
  if (failures.length > 0) throw failures[0];
}
