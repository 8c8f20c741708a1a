import { z } from 'zod';
import type { Row } from '../platform/rows.ts';
import { storageStatus } from '../platform/storage.ts';
import type { OutboxContext } from './context.ts';
import { mimePath, recordKey } from './keys.ts';
import { type MessageRecord, recordColumns, recordOf } from './record.ts';
import { heldBelow } from './stored-mime.ts';

/** The metadata that has the record, of the blob of a mail's text. */
const metadataName = 'accepted';

/**
 * All metadata of a blob have at most 8 KiB (Microsoft: "Setting and retrieving properties and metadata for Blob
 * Storage resources").
 */
const maxMetadata = 7_000;

const columnsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/**
 * The record of a mail that is about to be accepted, as metadata for the blob of its text, so that its first delivery
 * reads both by one request. `size`, which is not known yet, is that of the blob. Undefined where metadata cannot hold it.
 */
export function acceptedCopy(record: MessageRecord): Readonly<Record<string, string>> | undefined {
  const copy = Buffer.from(JSON.stringify(recordColumns(record))).toString('base64');
  return copy.length > maxMetadata ? undefined : { [metadataName]: copy };
}

/** A mail as it was accepted. */
export interface AcceptedMail {
  readonly record: MessageRecord;
  /** The row of the record as it was inserted; no longer as it is, where somebody has written it since. */
  readonly row: Row;
  readonly text: Buffer;
}

/**
 * Reads a mail as it was accepted, with its text; `etag`: of the row of its record then. Undefined where its blob has not
 * both, or is not kept any more: the record is to be read then. Throws errors of the storage.
 */
export async function readAccepted(
  context: Pick<OutboxContext, 'mime'>,
  { account, localId }: Pick<MessageRecord, 'account' | 'localId'>,
  etag: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<AcceptedMail | undefined> {
  const blob = (await context.mime()).getBlockBlobClient(mimePath(account, localId));
  const chunks: Buffer[] = [];
  let copy: string | undefined;
  try {
    const { metadata, readableStreamBody } = await blob.download(0, heldBelow, { abortSignal: signal });
    copy = metadata?.[metadataName];
    if (copy === undefined) return undefined;
    for await (const chunk of readableStreamBody ?? []) {
      chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    }
  } catch (error) {
    if (storageStatus(error) === 404) return undefined;
    throw error;
  }
  const text = Buffer.concat(chunks);
  const columns = columnsSchema.parse(JSON.parse(Buffer.from(copy, 'base64').toString()));
  const row = { key: recordKey(localId), etag, columns };
  return { record: { ...recordOf(account, row), size: text.length }, row, text };
}
