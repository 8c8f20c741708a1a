import { accountId } from '../platform/ids.ts';
import { log } from '../platform/log.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import { claimMs } from './claim.ts';
import type { OutboxContext } from './context.ts';
import { type MessageRecord, openKey, recordId } from './record.ts';

/** Between two mails of an account that are put back because others use its connections, in ms. */
export const connectionPaceMs = 100;

/**
 * Puts a mail back to the queue that the account's limits do not let out now: it is claimed by nobody, and this is no
 * attempt. `busy`: somebody else has claimed it meanwhile.
 */
export async function putBack(
  context: OutboxContext,
  record: MessageRecord,
  row: Row,
  at: number,
): Promise<'putBack' | 'busy'> {
  try {
    await context.rows.write(record.account, [
      { kind: 'merge', key: row.key, columns: { status: 'queued', nextAttemptAt: at }, etag: row.etag },
      { kind: 'put', key: openKey(record.rest), columns: { checkAt: at + claimMs } },
    ]);
  } catch (error) {
    // If it was this write, carried out and then repeated, the recovery timer queues the mail.
    if (error instanceof RowConflict) return 'busy';
    throw error;
  }
  log.info('outbox.putBack', { account: record.account, message: recordId(record), limit: 'perMinute' });
  await context.enqueue(recordId(record), at - context.clock.now());
  return 'putBack';
}

/**
 * Puts a mail back unread, because its account has its share of the workers: as cheap as can be, since thousands of them
 * may stand before the mail of another account.
 */
export async function putBackUnread(
  context: OutboxContext,
  { account, rest }: { readonly account: string; readonly rest: string },
): Promise<'putBack' | 'ended'> {
  const at = context.line.next(account, 'workers', 0, context.workers.pace(account));
  try {
    await context.rows.write(account, [{ kind: 'merge', key: openKey(rest), columns: { checkAt: at + claimMs } }]);
  } catch (error) {
    // Nothing is left to do for it.
    if (error instanceof RowConflict) return 'ended';
    throw error;
  }
  await context.enqueue(accountId(account, rest), at - context.clock.now());
  return 'putBack';
}
