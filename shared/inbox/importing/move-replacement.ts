import type { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { type Asset, assetPaths, movedPath } from '../../assets/asset.ts';
import { descriptionOf, readDescription } from '../../assets/summary.ts';
import { storageStatus } from '../../platform/storage.ts';
import { uploadUnknown, uploadWhole } from '../../platform/upload.ts';

/** How the blobs of a replacement are moved. */
export interface MoveOptions {
  readonly signal: AbortSignal;
  /** Throws where another run has taken the asset over: asked before a blob that is there is replaced or removed. */
  readonly mayReplace: () => Promise<void>;
}

/**
 * Moves the blobs of a replacement to where the blobs of an asset lie, and removes what was replaced. The description
 * names the replacement until all of it lies in its place as well, so that the asset can be read at every moment. Doing
 * it again, after whatever crash, comes to the same.
 */
export async function moveReplacement(
  container: ContainerClient,
  account: string,
  assetId: string,
  options: MoveOptions,
): Promise<void> {
  const { signal, mayReplace } = options;
  const paths = assetPaths(account, assetId);
  const description = container.getBlockBlobClient(paths.description);
  const asset = await readAsset(description, signal);
  if (asset === undefined) {
    return;
  }
  const { messagePath, ...rest } = asset;
  for (const { path, contentType } of blobsOf({ ...asset, messagePath: messagePath ?? paths.message })) {
    const target = movedPath(path);
    if (target === undefined) {
      continue;
    }
    const { readableStreamBody } = await container.getBlobClient(path).download(0, undefined, { abortSignal: signal });
    if (!readableStreamBody) {
      throw new Error('Storage answered without a body');
    }
    const upload = { contentType, signal, mayReplace };
    await uploadUnknown(container.getBlockBlobClient(target), readableStreamBody as Readable, upload);
  }
  const moved: Asset = {
    ...rest,
    ...(asset.textPath === undefined ? {} : { textPath: movedPath(asset.textPath) ?? asset.textPath }),
    ...(asset.htmlPath === undefined ? {} : { htmlPath: movedPath(asset.htmlPath) ?? asset.htmlPath }),
    attachments: asset.attachments.map((each) => ({ ...each, path: movedPath(each.path) ?? each.path })),
  };
  if (messagePath !== undefined) {
    await uploadWhole(description, descriptionOf(moved), { contentType: 'application/json', signal, mayReplace });
  }
  const kept = new Set([paths.description, paths.message, ...blobsOf(moved).map(({ path }) => path)]);
  for await (const blob of container.listBlobsFlat({ prefix: paths.folder, abortSignal: signal })) {
    if (kept.has(blob.name)) {
      continue;
    }
    await mayReplace();
    const conditions = { ifMatch: blob.properties.etag };
    await container.deleteBlob(blob.name, { abortSignal: signal, conditions }).catch(ignoreChanged);
  }
}

/** Undefined where the asset was deleted. */
async function readAsset(
  description: ReturnType<ContainerClient['getBlockBlobClient']>,
  signal: AbortSignal,
): Promise<Asset | undefined> {
  try {
    const bytes = await description.downloadToBuffer(0, undefined, { abortSignal: signal });
    return readDescription(bytes);
  } catch (error) {
    if (storageStatus(error) === 404) {
      return undefined;
    }
    throw error;
  }
}

/** The blobs that a description names, each with the type that it is stored under. */
function blobsOf({ messagePath, textPath, htmlPath, attachments }: Asset) {
  return [
    ...(messagePath === undefined ? [] : [{ path: messagePath, contentType: 'message/rfc822' }]),
    ...[textPath, htmlPath].flatMap((path) =>
      path === undefined ? [] : [{ path, contentType: 'text/plain; charset=utf-8' }],
    ),
    ...attachments.map(({ path }) => ({ path, contentType: 'application/octet-stream' })),
  ];
}

function ignoreChanged(error: unknown): void {
  const status = storageStatus(error);
  if (status !== 404 && status !== 412) {
    throw error;
  }
}
