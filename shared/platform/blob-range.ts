import { Readable } from 'node:stream';
import type { BlobClient } from '@azure/storage-blob';
import { storageStatus } from './storage.ts';

/** Bytes of a blob. */
export interface BlobRange {
  readonly offset: number;
  /** Bytes at most. */
  readonly count: number;
  readonly signal: AbortSignal;
}

/** Bytes of a blob, as they come; undefined where there is no such blob. Throws errors of the storage. */
export async function openBlob(blob: BlobClient, { offset, count, signal }: BlobRange): Promise<Readable | undefined> {
  // Storage takes no empty range.
  if (count === 0) {
    return Readable.from([]);
  }
  try {
    const { readableStreamBody } = await blob.download(offset, count, { abortSignal: signal });
    if (!readableStreamBody) {
      throw new Error('Storage answered without a body');
    }
    return readableStreamBody as Readable;
  } catch (error) {
    if (storageStatus(error) === 404) {
      return undefined;
    }
    throw error;
  }
}
