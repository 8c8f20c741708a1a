import { splitAccountId } from '../platform/ids.ts';
import { log } from '../platform/log.ts';
import { Refusal } from '../platform/refusal.ts';
import { RowConflict } from '../platform/rows.ts';
import { requireSending } from './composing/send-as.ts';
import type { OutboxContext } from './context.ts';
import { afterCancel } from './delivering/outcome.ts';
import { outcomeRows } from './delivering/outcome-rows.ts';
import { tryAt } from './delivering/release.ts';
import { endedRows } from './finding/index-rows.ts';
import { openKey, recordKey } from './keys.ts';
import { type MessageRecord, recordColumns, recordId, recordOf } from './record.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** A message's record. Throws Refusal `notFound`. */
export async function getMessage(context: OutboxContext, id: string, options: Options): Promise<MessageRecord> {
  return (await readMessage(context, id, options)).record;
}

/** A message's record with the etag of its row. Throws Refusal `notFound`. */
export async function readMessage(context: OutboxContext, id: string, options: Options) {
  const parts = splitAccountId(id);
  const row = parts && (await context.rows.get(parts.account, recordKey(parts.localId), options));
  if (!parts || !row) {
    throw new Refusal('notFound', 'There is no message with this id.');
  }
  return { record: recordOf(parts.account, row), etag: row.etag };
}

/** A message that is not wanted any more. Throws Refusal `notFound`; 409 once it is being sent or has ended. */
export async function cancelMessage(context: OutboxContext, id: string, options: Options): Promise<MessageRecord> {
  const { record, etag } = await readMessage(context, id, options);
  if (record.status === 'canceled') {
    return record;
  }
  if (record.status !== 'queued' && record.status !== 'scheduled') {
    throw new Refusal('conflict', `The message is ${record.status} and cannot be canceled.`);
  }
  const now = context.clock.now();
  const canceled = afterCancel(record, now);
  try {
    await context.rows.write(record.account, [
      { kind: 'replace', key: recordKey(record.localId), columns: recordColumns(canceled), etag },
      ...endedRows(canceled),
      ...(canceled.event ? [] : [{ kind: 'delete' as const, key: openKey(record.localId) }]),
      ...outcomeRows(context, { before: record, after: canceled }, now),
    ]);
    const { account, status, traceId } = canceled;
    log.info('outbox.canceled', { account, message: recordId(canceled), traceId, status });
    return canceled;
  } catch (error) {
    if (error instanceof RowConflict) {
      throw new Refusal('conflict', 'The message is being sent and cannot be canceled.');
    }
    throw error;
  }
}

/**
 * Tries a message now that waits for its next attempt; one that is being sent is left alone. Throws Refusal `notFound`,
 * and `conflict` for what does not wait, or cannot leave.
 */
export async function retryMessage(context: OutboxContext, id: string, options: Options): Promise<MessageRecord> {
  const { record, etag } = await readMessage(context, id, options);
  if (record.status === 'sending') {
    return record;
  }
  if (record.status !== 'queued') {
    throw new Refusal(
      'conflict',
      `The message is ${record.status}; only one that waits for an attempt can be retried.`,
    );
  }
  const account = await context.account(record.account, options.signal);
  if (account) requireSending(account);
  await tryAt(context, record, etag, context.clock.now());
  return (await readMessage(context, id, options)).record;
}
