import { errorText, log } from '../platform/log.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { openStatuses, recordKey, recordOf } from './record.ts';
import { copyPrefix } from './sent-copy-state.ts';

/** Open messages looked at in one run of the timer and account; the next minute brings the rest. */
const batch = 1_000;

/**
 * Queues what nobody works on any more: messages whose acceptance or claim lapsed, whose time has come, or whose event
 * is still owed. Nothing depends on a queue message surviving. Answers how many were queued.
 */
export async function recover(context: OutboxContext, options: { readonly signal: AbortSignal }): Promise<number> {
  let queued = 0;
  for (const account of await context.accountNames(options.signal)) {
    try {
      queued += await recoverAccount(context, account, options.signal);
      queued += await recoverCopies(context, account, options.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      log.error('outbox.recoverFailed', { account, error: errorText(error) });
    }
  }
  return queued;
}

async function recoverAccount(context: OutboxContext, account: string, signal: AbortSignal): Promise<number> {
  const now = context.clock.now();
  const lapsed: string[] = [];
  for await (const open of context.rows.prefix(account, 'o:', { filter: `checkAt le ${now}`, top: batch, signal })) {
    lapsed.push(open.key.slice(2));
  }
  let queued = 0;
  for (const rest of lapsed) {
    const row = await context.rows.get(account, recordKey(rest), { signal });
    if (!row) {
      await context.rows.write(account, [{ kind: 'delete', key: `o:${rest}` }]);
      continue;
    }
    const record = recordOf(account, row);
    if (record.status === 'sending' && (record.claimUntil ?? 0) > now) {
      continue;
    }
    // Queued again no sooner than this claim could lapse: a full queue must not be filled with copies.
    await context.rows.write(account, [{ kind: 'put', key: `o:${rest}`, columns: { checkAt: now + recheckMs } }]);
    await context.enqueue(`${account}.${rest}`, 0);
    queued += 1;
    log.info('outbox.recovered', {
      account,
      message: `${account}.${rest}`,
      status: record.status,
      open: openStatuses.includes(record.status),
      traceId: record.traceId,
    });
  }
  return queued;
}

/** Queues copies for \Sent that are due and that no queue message seems to be left for. */
async function recoverCopies(context: OutboxContext, account: string, signal: AbortSignal): Promise<number> {
  const now = context.clock.now();
  const due: Row[] = [];
  const query = { filter: `checkAt le ${now}`, top: batch, signal };
  for await (const row of context.rows.prefix(account, copyPrefix, query)) {
    due.push(row);
  }
  for (const { key, etag } of due) {
    const id = `${account}.${key.slice(copyPrefix.length)}`;
    try {
      await context.rows.write(account, [{ kind: 'merge', key, columns: { checkAt: now + recheckMs }, etag }]);
    } catch (error) {
      if (error instanceof RowConflict) {
        continue;
      }
      throw error;
    }
    await context.enqueueCopy(id, 0);
    log.info('outbox.copyRecovered', { account, message: id });
  }
  return due.length;
}

/** A message queued again is looked at again after this; copies on the queue are harmless, only not free. */
const recheckMs = 2 * 60_000;
