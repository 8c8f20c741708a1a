import type { EventType } from '../../events/events.ts';
import { errorText, log } from '../../platform/log.ts';
import { ignoreConflict, RowConflict, type RowWrite } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { openKey, recordKey } from '../keys.ts';
import { eventData, type MessageRecord, openStatuses, type Recipient, recordId, recordOf } from '../record.ts';
import { hasReached, resentAt } from './outcome.ts';

const types: readonly EventType[] = ['mailroom.message.sent', 'mailroom.message.failed', 'mailroom.message.uncertain'];

/** The row of open messages goes so long after the event at the latest: before the recovery timer looks. In ms. */
const closeWithinMs = 5_000;

/**
 * Publishes the event that an ended record still owes, then removes its row of open messages: that goes last, so that
 * the recovery timer finds whatever was left. `closesSoon`: with another write of the account, in some seconds.
 */
export async function publishEvent(
  context: OutboxContext,
  record: MessageRecord,
  etag: string,
  { closesSoon = false }: { readonly closesSoon?: boolean } = {},
): Promise<void> {
  if (openStatuses.includes(record.status)) {
    return;
  }
  const type = types.find((known) => known === record.event);
  if (type) {
    const { account, recipients } = record;
    // One that is sent again may end in the same way again.
    const resent = resentAt(record);
    const about = {
      account,
      subject: recordId(record),
      ...(resent === undefined ? {} : { occasion: resent }),
      time: Date.parse(record.attempts.at(-1)?.at ?? record.createdAt),
    };
    const what = { ...eventData(record), ...(resent === undefined ? {} : { resentAt: resent }) };
    const count = (fits: (recipient: Recipient) => boolean) => recipients.filter(fits).length;
    const accepted = count(hasReached);
    const rejected = count((recipient) => recipient.status === 'rejected');
    const uncertain = count((recipient) => recipient.status === 'uncertain');
    await context.events.publish({ ...about, type, data: { ...what, recipients: { accepted, rejected, uncertain } } });
    const noticed = (record.bounces ?? []).reduce((sum, bounce) => sum + bounce.recipients, 0);
    const bounced = count((recipient) => recipient.status === 'bounced') - noticed;
    if (bounced > 0) {
      // Of those that came back while they were delivered; a notice that arrives later has an event of its own.
      const occasion = resent === undefined ? 'delivery' : `delivery:${resent}`;
      const fields = { type: 'mailroom.message.bounced', occasion } as const;
      await context.events.publish({ ...about, ...fields, data: { ...what, recipients: { bounced } } });
    }
  }
  if (!closesSoon || context.shutdown.stopping.aborted) {
    await context.rows.write(record.account, closing(record, etag)).catch(ignoreConflict);
    return;
  }
  closeSoon(context, record, etag).catch((error: unknown) => {
    // The recovery timer does it, and tells the event once more.
    log.warn('outbox.closeFailed', { account: record.account, message: recordId(record), error: errorText(error) });
  });
}

/** On the condition of the record, which may be open again: a person may ask for it to be sent again at any moment. */
function closing({ localId }: MessageRecord, etag: string): readonly RowWrite[] {
  return [
    { kind: 'delete', key: openKey(localId) },
    { kind: 'merge', key: recordKey(localId), columns: { event: '' }, etag },
  ];
}

async function closeSoon({ rows }: OutboxContext, record: MessageRecord, etag: string): Promise<void> {
  const { account, localId } = record;
  try {
    await rows.writeSoon(account, closing(record, etag), closeWithinMs);
  } catch (error) {
    if (!(error instanceof RowConflict)) throw error;
    // Closed by somebody else meanwhile, or changed by a bounce and still open.
    const row = await rows.get(account, recordKey(localId));
    if (!row) return;
    const now = recordOf(account, row);
    if (now.event === record.event && resentAt(now) === resentAt(record)) {
      await rows.write(account, closing(record, row.etag)).catch(ignoreConflict);
    }
  }
}
