import type { BlobClient } from '@azure/storage-blob';
import { untilAborted } from '../../platform/abort.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { badInput } from '../../platform/refusal.ts';
import { storageStatus } from '../../platform/storage.ts';
import type { OutboxContext } from '../context.ts';
import { uploadPath } from '../keys.ts';
import type { MessageRecord } from '../record.ts';
import type { UploadPlace } from './upload-places.ts';
import type { Upload } from './uploads.ts';

/** Copies that are asked for at one time; within one storage account a copy moves no bytes through this process. */
const concurrentCopies = 8;

/** How often a copy that is not made at once is looked at. In ms. */
const lookMs = 500;

/** An upload that a message has of its own. */
export interface FrozenUpload {
  readonly size: number;
  readonly etag: string;
}

type Message = Pick<MessageRecord, 'account' | 'localId'>;

/**
 * Gives a message copies of the uploads that it names, in their order, so that each may end its life by itself: nobody
 * has to know of the other. The storage makes them, of exactly the version that was looked up (Copy Blob with
 * x-ms-source-if-match). Throws Refusal `invalid` where an upload was removed meanwhile.
 */
export async function freezeUploads(
  context: OutboxContext,
  { account, localId }: Message,
  uploads: readonly Upload[],
  signal: AbortSignal,
): Promise<readonly FrozenUpload[]> {
  if (uploads.length === 0) return [];
  const [from, to] = await Promise.all([context.uploads(), context.mime()]);
  try {
    return await mapConcurrently([...uploads.entries()], concurrentCopies, async ([number, upload]) => {
      const source = from.getBlobClient(upload.id).url;
      return await copied(to.getBlobClient(uploadPath(account, localId, number)), source, upload, signal);
    });
  } catch (error) {
    await removeFrozenUploads(context, { account, localId }, uploads.length);
    throw error;
  }
}

async function copied(
  copy: BlobClient,
  source: string,
  { size, etag }: Upload,
  signal: AbortSignal,
): Promise<FrozenUpload> {
  const options = { abortSignal: signal, intervalInMs: lookMs, sourceConditions: { ifMatch: etag } };
  try {
    const poller = await copy.beginCopyFromURL(source, options);
    const { copyStatus } = await untilAborted(poller.pollUntilDone(), signal);
    if (copyStatus !== 'success') throw new Error(`The copy of an upload ended as ${copyStatus}`);
  } catch (error) {
    const status = storageStatus(error);
    if (status !== 404 && status !== 412) throw error;
    throw badInput([{ pointer: '/attachments', detail: 'name an upload that was removed' }]);
  }
  const made = await copy.getProperties({ abortSignal: signal });
  if (made.contentLength !== size || made.etag === undefined) throw new Error('The copy of an upload is not whole');
  return { size, etag: made.etag };
}

/** Where in the text of a message its copies belong. Throws for a place without a copy, or a copy without a place. */
export function uploadsInText(
  places: readonly UploadPlace[],
  frozen: readonly FrozenUpload[],
): NonNullable<MessageRecord['uploads']> {
  if (new Set(places.map(({ upload }) => upload)).size !== frozen.length) {
    throw new Error('The composed mail does not have the uploads that its request names');
  }
  return places.map(({ at, upload }) => {
    const copy = frozen[upload];
    if (!copy) throw new Error('The composed mail names an upload that there is not');
    return { at, upload, ...copy };
  });
}

/** Removes the copies of a message that was not accepted. Never throws: what stays is removed with old MIME. */
export async function removeFrozenUploads(
  context: OutboxContext,
  { account, localId }: Message,
  count: number,
): Promise<void> {
  if (count === 0) return;
  const container = await context.mime();
  const numbers = Array.from({ length: count }, (_, number) => number);
  await mapConcurrently(numbers, concurrentCopies, async (number) => {
    await container.deleteBlob(uploadPath(account, localId, number)).catch(() => undefined);
  });
}
