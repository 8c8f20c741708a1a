import { dueTime } from '../../platform/due-time.ts';
import { splitAccountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import { type GivenUpResult, type HandledGivenUp, nothingOfOurs } from '../../platform/poison-queue.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { endedRows } from '../finding/index-rows.ts';
import { recordKey, unreadPath } from '../keys.ts';
import {
  type MessageRecord,
  type MessageStatus,
  messageStatuses,
  openStatuses,
  readableRecord,
  recordColumns,
  remainsOf,
} from '../record.ts';
import { isClaimed } from './claim.ts';
import { publishEvent } from './outbox-events.ts';
import { afterGivenUp } from './outcome.ts';
import { outcomeRows } from './outcome-rows.ts';
import { giveUpAfterMs } from './retry.ts';

/** A mail is queued again so often less one; then it has failed. */
const giveUpAfter = 2;

/**
 * What becomes of a mail whose queue message was given up: the record decides, since the mail may have been sent by
 * another message meanwhile, or may wait for its next attempt. Deliveries throw for trouble of the service's own alone,
 * which may be over: so the mail is queued once more, and has failed where the queue gives that up, too. A mail whose
 * process ended in an attempt is the recovery timer's.
 */
export async function handleGivenUpMail(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<HandledGivenUp> {
  const parts = splitAccountId(id);
  const row = parts && (await context.rows.get(parts.account, recordKey(parts.localId), options));
  if (!parts || !row) return nothingOfOurs;
  const about = { account: parts.account, message: id };
  const record = readableRecord(parts.account, row);
  if (!record) return { result: await endUnreadable(context, parts.account, row), ...about };
  if (!openStatuses.includes(record.status)) {
    await publishEvent(context, record, row.etag);
    return { result: 'left', ...about };
  }
  const now = context.clock.now();
  const due = dueTime(row, record.nextAttemptAt ?? 0, now) <= now;
  if (!due || record.status === 'sending') return { result: 'left', ...about };
  const times = (record.queueGaveUp ?? 0) + 1;
  const failed = times < giveUpAfter ? undefined : afterGivenUp(record, now, 'queueGaveUp');
  try {
    if (failed) {
      await writeFailed(context, { row, before: record, after: failed });
      return { result: 'failed', ...about };
    }
    await context.rows.write(record.account, [
      { kind: 'merge', key: row.key, columns: { queueGaveUp: times }, etag: row.etag },
    ]);
    await context.enqueue(id, 0);
  } catch (error) {
    // Somebody took it up at this moment.
    if (error instanceof RowConflict) return { result: 'left', ...about };
    throw error;
  }
  return { result: 'repeated', ...about };
}

interface Failed {
  /** As it was read. */
  readonly row: Row;
  readonly before: MessageRecord;
  readonly after: MessageRecord;
}

/** Writes a record that has failed, and tells it. Throws RowConflict where the row is not as it was read any more. */
async function writeFailed(context: OutboxContext, { row, before, after }: Failed): Promise<void> {
  const [etag = ''] = await context.rows.write(after.account, [
    { kind: 'replace', key: row.key, columns: recordColumns(after), etag: row.etag },
    ...endedRows(after),
    ...outcomeRows(context, { before, after }, context.clock.now()),
  ]);
  // The end is durable, and its event is owed: the recovery timer publishes what cannot be published now.
  await publishEvent(context, after, etag).catch((error: unknown) =>
    log.warn('outbox.afterAttempt', { error: errorText(error) }),
  );
}

/**
 * A record that cannot be read is kept as it is for as long as a mail is tried, since a version that can read it may come
 * back, or a person may mend it; the recovery timer goes on trying. Then what can be read of it ends, and what it held is
 * kept beside the MIME.
 */
async function endUnreadable(context: OutboxContext, account: string, row: Row): Promise<GivenUpResult> {
  const { columns, etag, key } = row;
  const now = context.clock.now();
  const hasEnded = isStatus(columns.status) && !openStatuses.includes(columns.status);
  if (hasEnded || isClaimed(row, now)) return 'unreadable';
  try {
    if (typeof columns.unreadableSince !== 'number') {
      await context.rows.write(account, [{ kind: 'merge', key, columns: { unreadableSince: now }, etag }]);
      return 'unreadable';
    }
    if (now - columns.unreadableSince < giveUpAfterMs) return 'unreadable';
    const before = remainsOf(account, row);
    const held = JSON.stringify(columns);
    const blob = (await context.mime()).getBlockBlobClient(unreadPath(account, before.localId));
    await blob.upload(held, Buffer.byteLength(held), { blobHTTPHeaders: { blobContentType: 'application/json' } });
    await writeFailed(context, { row, before, after: afterGivenUp(before, now, 'recordUnreadable') });
  } catch (error) {
    // Somebody has written to it at this moment.
    if (error instanceof RowConflict) return 'left';
    throw error;
  }
  return 'failed';
}

const isStatus = (value: unknown): value is MessageStatus => messageStatuses.some((status) => status === value);
