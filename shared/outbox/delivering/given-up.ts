import { dueTime } from '../../platform/due-time.ts';
import { splitAccountId } from '../../platform/ids.ts';
import { type HandledGivenUp, nothingOfOurs } from '../../platform/poison-queue.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { endedRows } from '../finding/index-rows.ts';
import { recordKey } from '../keys.ts';
import { type MessageRecord, openStatuses, recordColumns, recordOf } from '../record.ts';
import { publishEvent } from './outbox-events.ts';
import { afterQueueGaveUp } from './outcome.ts';
import { outcomeRows } from './outcome-rows.ts';

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
  const record = readable(parts.account, row);
  if (!record) return { result: 'unreadable', ...about };
  if (!openStatuses.includes(record.status)) {
    await publishEvent(context, record, row.etag);
    return { result: 'left', ...about };
  }
  const now = context.clock.now();
  const due = dueTime(row, record.nextAttemptAt ?? 0, now) <= now;
  if (!due || record.status === 'sending') return { result: 'left', ...about };
  const times = (record.queueGaveUp ?? 0) + 1;
  const failed = times < giveUpAfter ? undefined : afterQueueGaveUp(record, now);
  const columns = failed ? recordColumns(failed) : { queueGaveUp: times };
  try {
    const [etag = ''] = await context.rows.write(record.account, [
      { kind: failed ? 'replace' : 'merge', key: row.key, columns, etag: row.etag },
      ...(failed ? [...endedRows(failed), ...outcomeRows(context, { before: record, after: failed }, now)] : []),
    ]);
    if (failed) await publishEvent(context, failed, etag);
    else await context.enqueue(id, 0);
  } catch (error) {
    // Somebody took it up at this moment.
    if (error instanceof RowConflict) return { result: 'left', ...about };
    throw error;
  }
  return { result: failed ? 'failed' : 'repeated', ...about };
}

/** Undefined: a newer version may have written it, or a person has changed it. */
function readable(account: string, row: Row): MessageRecord | undefined {
  try {
    return recordOf(account, row);
  } catch {
    return undefined;
  }
}
