import type { EventType } from '../events/events.ts';
import { RowConflict, type RowWrite } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { type MessageRecord, openKey, openStatuses, recordId, recordKey } from './record.ts';

const types: readonly EventType[] = ['mailroom.message.sent', 'mailroom.message.failed', 'mailroom.message.uncertain'];

/**
 * Puts the event that an ended record still owes and closes the record's books: the row of open messages goes last, so
 * that the recovery timer finds whatever was left.
 */
export async function publishEvent(context: OutboxContext, record: MessageRecord, etag: string): Promise<void> {
  if (openStatuses.includes(record.status)) {
    return;
  }
  const type = types.find((known) => known === record.event);
  if (type) {
    await context.events.publish({
      type,
      account: record.account,
      subject: recordId(record),
      time: Date.parse(record.attempts.at(-1)?.at ?? record.createdAt),
      data: {
        status: record.status,
        messageId: record.messageId,
        recipients: Object.fromEntries(
          (['accepted', 'rejected', 'uncertain'] as const).map((status) => [
            status,
            record.recipients.filter((recipient) => recipient.status === status).length,
          ]),
        ),
      },
    });
  }
  const closing: RowWrite[] = [{ kind: 'delete', key: openKey(record.rest) }];
  if (record.event) {
    closing.push({ kind: 'merge', key: recordKey(record.rest), columns: { event: '' }, etag });
  }
  try {
    await context.rows.write(record.account, closing);
  } catch (error) {
    // Closed by somebody else meanwhile.
    if (!(error instanceof RowConflict)) {
      throw error;
    }
  }
}
