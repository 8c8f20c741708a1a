import { errorText, log } from '../platform/log.ts';
import { Refusal } from '../platform/refusal.ts';
import { RowConflict } from '../platform/rows.ts';
import { requireSending } from './composing/send-as.ts';
import type { OutboxContext } from './context.ts';
import { waitColumns } from './delivering/claim.ts';
import { publishEvent } from './delivering/outbox-events.ts';
import { afterResend, resentAt } from './delivering/outcome.ts';
import { openKey, recordKey } from './keys.ts';
import { readMessage } from './messages.ts';
import { type MessageRecord, type MessageStatus, recordColumns, recordId } from './record.ts';

/** Why a message in a state is not sent again, and what to do instead; undefined: it is. */
const insteadOf: Readonly<Record<MessageStatus, string | undefined>> = {
  scheduled: 'It waits for its time, and is sent then. Cancel it, and hand it in again, to send it earlier.',
  queued: 'It is tried by itself; POST /messages/{id}/retry tries it now.',
  sending: 'Its record will say how that ends.',
  sent: 'Everybody has it. Hand the mail in again to send it a second time.',
  canceled: 'Hand the mail in again.',
  partiallySent: undefined,
  failed: undefined,
  uncertain: undefined,
};

/** How often the record is read again where others write to it meanwhile. */
const maxRounds = 5;

/**
 * Sends a message again that has failed, in part or as a whole, or whose end is uncertain: the same mail with the same
 * Message-ID, to the recipients who were not accepted, as if it were handed in now. Answers its record, also where
 * somebody else asked for it at the same moment. Throws Refusal `notFound`; `conflict` in any other state, and while the
 * account cannot send; `gone` where its MIME is not kept any more.
 */
export async function resendMessage(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<MessageRecord> {
  const first = await readMessage(context, id, options);
  let { record, etag } = first;
  const account = await context.account(record.account, options.signal);
  for (let round = 1; round <= maxRounds; round += 1) {
    const instead = insteadOf[record.status];
    if (instead !== undefined) {
      throw new Refusal('conflict', `The message is ${record.status}, and is not sent again. ${instead}`);
    }
    if (!account) throw new Refusal('conflict', 'The account was deleted. Make it again to send its mail.');
    requireSending(account);
    if (record.mimeRemoved) {
      throw new Refusal('gone', 'The message is not kept any more (OUTBOX_RETENTION_DAYS). Hand the mail in again.');
    }
    // How it ended until now is published first: the record is about to forget it.
    if (record.event) await publishEvent(context, record, etag);
    else {
      try {
        return await reopen(context, record, etag);
      } catch (error) {
        if (!(error instanceof RowConflict)) throw error;
      }
    }
    ({ record, etag } = await readMessage(context, id, options));
    if (resentAt(record) !== resentAt(first.record)) return record;
  }
  throw new Refusal('conflict', 'The message is being changed at this moment; try again.');
}

/** Opens an ended message again, and queues it. Throws RowConflict where its record is not the one that was read. */
async function reopen(context: OutboxContext, record: MessageRecord, etag: string): Promise<MessageRecord> {
  const now = context.clock.now();
  const again = afterResend(record, now);
  const { account, localId, traceId } = again;
  const id = recordId(again);
  const waits = waitColumns(now, now);
  await context.open.opening(account, () =>
    context.rows.write(account, [
      { kind: 'replace', key: recordKey(localId), columns: { ...recordColumns(again), ...waits.record }, etag },
      { kind: 'put', key: openKey(localId), columns: waits.open },
    ]),
  );
  log.info('outbox.resend', { account, message: id, traceId, status: record.status });
  await context.enqueue(id, 0).catch((error: unknown) => {
    // The record is durable: the recovery timer will queue it.
    log.warn('outbox.enqueueFailed', { account, message: id, error: errorText(error) });
  });
  return again;
}
