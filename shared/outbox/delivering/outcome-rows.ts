import type { RowWrite } from '../../platform/rows.ts';
import type { Counts } from '../../stats/day-total.ts';
import type { OutboxContext } from '../context.ts';
import { failureKey } from '../keys.ts';
import { type MessageRecord, openStatuses } from '../record.ts';
import { resentAt } from './outcome.ts';

/** A message before and after a change of its record. */
export interface RecordChange {
  readonly before: Pick<MessageRecord, 'status' | 'recipients'>;
  readonly after: MessageRecord;
}

/**
 * The rows to be written with a change of a message's record at `now` (ms): what it adds to the counts of that day, and,
 * where the message failed by it, the row that `status` finds it by.
 */
export function outcomeRows(
  context: Pick<OutboxContext, 'dayCounts'>,
  { before, after }: RecordChange,
  now: number,
): RowWrite[] {
  const ended = openStatuses.includes(before.status) ? countOf(after) : undefined;
  const bounces = !hasBounced(before) && hasBounced(after);
  if (!ended && !bounces) return [];
  const count = context.dayCounts.row(after.account, {
    at: now,
    ...(ended ? { [ended]: 1 } : {}),
    ...(ended === 'sent' ? { delaySeconds: secondsToSend(after, now) } : {}),
    ...(bounces ? { bounced: 1 } : {}),
  });
  return ended === 'failed' ? [count, failureRow(after, now)] : [count];
}

/** What a message that ended counts as: what its event says, so that one that not everybody got has failed. */
function countOf({ status }: MessageRecord): Extract<keyof Counts, 'sent' | 'failed' | 'uncertain'> | undefined {
  switch (status) {
    case 'sent':
    case 'uncertain':
      return status;
    case 'partiallySent':
    case 'failed':
      return 'failed';
    default:
      return undefined;
  }
}

/** From acceptance on, or from when it was to leave: by its `sendAt`, or as it was sent again. */
function secondsToSend(record: MessageRecord, now: number): number {
  return (now - Date.parse(resentAt(record) ?? record.sendAt ?? record.createdAt)) / 1000;
}

function hasBounced({ recipients }: Pick<MessageRecord, 'recipients'>): boolean {
  return recipients.some(({ status }) => status === 'bounced');
}

function failureRow({ localId, attempts }: MessageRecord, now: number): RowWrite {
  const { code, hint } = attempts.at(-1) ?? {};
  return { kind: 'put', key: failureKey(now, localId), columns: { at: now, message: localId, code, hint } };
}
