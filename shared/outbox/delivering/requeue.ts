import { accountId } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { type Row, RowConflict } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { openKey } from '../keys.ts';
import { type MessageRecord, recordId } from '../record.ts';
import { waitColumns } from './claim.ts';

/** Between two mails of an account that come again because others use its connections, in ms. */
export const connectionPaceMs = 100;

/**
 * Requeues a mail that the account's limits do not allow now, to come again at `at` (ms since the epoch): it is claimed
 * by nobody, and this is no attempt. Undefined: its record is not as it was read any more.
 */
export async function requeue(
  context: OutboxContext,
  record: MessageRecord,
  row: Row,
  at: number,
): Promise<'requeued' | undefined> {
  const waits = waitColumns(at, context.clock.now());
  try {
    await context.rows.write(record.account, [
      {
        kind: 'merge',
        key: row.key,
        columns: { status: 'queued', nextAttemptAt: at, ...waits.record },
        etag: row.etag,
      },
      { kind: 'put', key: openKey(record.localId), columns: waits.open },
    ]);
  } catch (error) {
    if (error instanceof RowConflict) return undefined;
    throw error;
  }
  log.info('outbox.requeued', { account: record.account, message: recordId(record), limit: 'perMinute' });
  await context.enqueue(recordId(record), at - context.clock.now());
  return 'requeued';
}

/**
 * Requeues a mail unread, because its account has its share of the workers: as cheap as can be, since thousands of them
 * may stand before the mail of another account. `paceMs`: how far it comes after the one before it; `accepted`: as it
 * came from the queue.
 */
export async function requeueUnread(
  context: OutboxContext,
  { account, localId }: { readonly account: string; readonly localId: string },
  { paceMs, accepted }: { readonly paceMs: number; readonly accepted: string | undefined },
): Promise<'requeued' | 'ended'> {
  const at = context.schedule.next(account, 'workers', 0, paceMs);
  const columns = waitColumns(at, context.clock.now()).open;
  try {
    await context.rows.write(account, [{ kind: 'merge', key: openKey(localId), columns }]);
  } catch (error) {
    // Nothing is left to do for it.
    if (error instanceof RowConflict) return 'ended';
    throw error;
  }
  await context.enqueue(accountId(account, localId), at - context.clock.now(), accepted);
  return 'requeued';
}
