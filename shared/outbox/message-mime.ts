import type { Readable } from 'node:stream';
import { Refusal } from '../platform/refusal.ts';
import { storageStatus } from '../platform/storage.ts';
import type { OutboxContext } from './context.ts';
import { getMessage } from './messages.ts';
import { openMimeRange } from './stored-mime.ts';

/** The MIME text of a message, to be read whole or in part. */
export interface MessageMime {
  readonly size: number;
  /** Names these bytes: a message never changes. */
  readonly version: string;
  /** `count` octets from `offset` on. Throws Refusal `notFound` where they were removed meanwhile. */
  open(offset: number, count: number): Promise<Readable>;
}

function notKept(days: number): Refusal {
  return new Refusal(
    'notFound',
    `What was sent is kept for ${days} days (OUTBOX_RETENTION_DAYS) and has been removed. The record of the message is there.`,
  );
}

/**
 * What a message sends, or sent: the bytes that go to the mail server, without Bcc. `keptDays`: how long they are kept.
 * Throws Refusal `notFound`, with the reason, where there is no such message, or its bytes are not kept any more.
 */
export async function getMessageMime(
  context: OutboxContext,
  id: string,
  { signal, keptDays }: { readonly signal: AbortSignal; readonly keptDays: number },
): Promise<MessageMime> {
  const record = await getMessage(context, id, { signal });
  if (record.mimeRemoved) throw notKept(keptDays);
  return {
    size: record.size,
    version: id,
    async open(offset, count) {
      try {
        return await openMimeRange(context, record, { offset, count }, signal);
      } catch (error) {
        // Removed since the record was read.
        throw storageStatus(error) === 404 ? notKept(keptDays) : error;
      }
    },
  };
}
