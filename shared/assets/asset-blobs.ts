import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ContainerClient } from '@azure/storage-blob';
import { openBlob } from '../platform/blob-range.ts';
import { Refusal } from '../platform/refusal.ts';
import { storageStatus } from '../platform/storage.ts';
import { type Asset, assetPaths, movedPath } from './asset.ts';
import { type AssetSummary, maxSummaryBytes, readDescription, readSummary, summaryOf } from './summary.ts';

/** Bytes that can be read, whole or in part. */
export interface Content {
  readonly size: number;
  /** Of all its bytes, in hex. */
  readonly sha256: string;
  /** `count` bytes from `offset` on. Throws Refusal `notFound` where it was removed meanwhile. */
  open(offset: number, count: number): Promise<Readable>;
}

/** The answer to an id that no asset has, or has any more. */
export const noSuchAsset = () => new Refusal('notFound', 'There is no asset with this id.');

/** The blobs of assets. Which of them are committed is in the rows: see `AssetLibrary`. */
export class AssetBlobs {
  readonly #container: () => Promise<ContainerClient>;

  constructor(container: () => Promise<ContainerClient>) {
    this.#container = container;
  }

  /** `asset.json`; undefined where there is none. */
  async describe(account: string, id: string, signal: AbortSignal): Promise<Asset | undefined> {
    const bytes = await this.#description(account, id, (blob) =>
      blob.downloadToBuffer(0, undefined, { abortSignal: signal }),
    );
    return bytes && readDescription(bytes);
  }

  /** One ranged read, whatever the mail holds; an asset from before there were summaries is read whole. */
  async summary(account: string, id: string, signal: AbortSignal): Promise<AssetSummary | undefined> {
    const front = await this.#description(account, id, async (blob) => {
      const { readableStreamBody } = await blob.download(0, maxSummaryBytes, { abortSignal: signal });
      return await buffer(readableStreamBody ?? Readable.from([]));
    });
    const summary = front && readSummary(front);
    if (summary || !front) return summary;
    const asset = await this.describe(account, id, signal);
    return asset && summaryOf(asset);
  }

  async #description<T>(
    account: string,
    id: string,
    read: (blob: ReturnType<ContainerClient['getBlobClient']>) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await read((await this.#container()).getBlobClient(assetPaths(account, id).description));
    } catch (error) {
      if (storageStatus(error) === 404) {
        return undefined;
      }
      throw error;
    }
  }

  content(path: string, { size, sha256 }: Pick<Content, 'size' | 'sha256'>, signal: AbortSignal): Content {
    return { size, sha256, open: (offset, count) => this.open(path, offset, count, signal) };
  }

  /** At most `count` bytes of a blob from `offset` on. Throws Refusal `notFound`. */
  async open(path: string, offset: number, count: number, signal: AbortSignal): Promise<Readable> {
    const blob = (await this.#container()).getBlobClient(path);
    const bytes = await openBlob(blob, { offset, count, signal });
    if (bytes) {
      return bytes;
    }
    // It may have been moved since its asset was read.
    const moved = movedPath(path);
    if (moved === undefined) {
      throw noSuchAsset();
    }
    return await this.open(moved, offset, count, signal);
  }

  /** Removes the blobs of an asset that are there now; one that is written again meanwhile stays. */
  async remove(account: string, id: string, signal: AbortSignal): Promise<void> {
    const container = await this.#container();
    for await (const blob of container.listBlobsFlat({ prefix: assetPaths(account, id).folder, abortSignal: signal })) {
      const conditions = { ifMatch: blob.properties.etag };
      await container.deleteBlob(blob.name, { abortSignal: signal, conditions }).catch(ignoreChanged);
    }
  }
}

function ignoreChanged(error: unknown): void {
  const status = storageStatus(error);
  if (status !== 404 && status !== 412) {
    throw error;
  }
}
