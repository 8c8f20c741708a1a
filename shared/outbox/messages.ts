import { HttpProblem } from '../http/problem.ts';
import { splitAccountId } from '../platform/ids.ts';
import { log } from '../platform/log.ts';
import { odataText, RowConflict } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { afterCancel } from './outcome.ts';
import {
  type MessageRecord,
  type MessageStatus,
  openKey,
  recordColumns,
  recordId,
  recordKey,
  recordOf,
} from './record.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** A message's record. Throws HttpProblem 404. */
export async function getMessage(context: OutboxContext, id: string, options: Options): Promise<MessageRecord> {
  return (await readMessage(context, id, options)).record;
}

async function readMessage(context: OutboxContext, id: string, options: Options) {
  const parts = splitAccountId(id);
  const row = parts && (await context.rows.get(parts.account, recordKey(parts.rest), options));
  if (!parts || !row) {
    throw new HttpProblem(404, 'There is no message with this id.');
  }
  return { record: recordOf(parts.account, row), etag: row.etag };
}

/** A message that is not wanted any more. Throws HttpProblem 404; 409 once it is being sent or has ended. */
export async function cancelMessage(context: OutboxContext, id: string, options: Options): Promise<MessageRecord> {
  const { record, etag } = await readMessage(context, id, options);
  if (record.status === 'canceled') {
    return record;
  }
  if (record.status !== 'queued' && record.status !== 'scheduled') {
    throw new HttpProblem(409, `The message is ${record.status} and cannot be canceled.`);
  }
  const canceled = afterCancel(record, context.clock.now());
  try {
    await context.rows.write(record.account, [
      { kind: 'replace', key: recordKey(record.rest), columns: recordColumns(canceled), etag },
      ...(canceled.event ? [] : [{ kind: 'delete' as const, key: openKey(record.rest) }]),
    ]);
    const { account, status, traceId } = canceled;
    log.info('outbox.canceled', { account, message: recordId(canceled), traceId, status });
    return canceled;
  } catch (error) {
    if (error instanceof RowConflict) {
      throw new HttpProblem(409, 'The message is being sent and cannot be canceled.');
    }
    throw error;
  }
}

export interface ListMessagesOptions extends Options {
  readonly status?: MessageStatus;
  /** Records at most. */
  readonly top: number;
  /** Only records that come after this key in the list. */
  readonly after?: string;
}

/** One account's messages, newest first. */
export async function listMessages(
  context: OutboxContext,
  account: string,
  options: ListMessagesOptions,
): Promise<readonly MessageRecord[]> {
  const records: MessageRecord[] = [];
  // The key of the next possible row: `after` itself is not listed again.
  const from = recordKey(options.after === undefined ? '' : `${options.after}!`);
  const rows = context.rows.range(account, from, 'm;', {
    signal: options.signal,
    top: options.top,
    ...(options.status ? { filter: `status eq ${odataText(options.status)}` } : {}),
  });
  for await (const row of rows) {
    records.push(recordOf(account, row));
  }
  return records;
}
