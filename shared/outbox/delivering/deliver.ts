import type { Account } from '../../accounts/rules.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { dueTime } from '../../platform/due-time.ts';
import { splitAccountId } from '../../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../../platform/log.ts';
import { type AcceptedMail, readAccepted } from '../accepted-copy.ts';
import type { OutboxContext } from '../context.ts';
import { recordKey } from '../keys.ts';
import { type MessageRecord, openStatuses, recordOf } from '../record.ts';
import { earlyMs } from '../timing.ts';
import { withWorker } from '../with-worker.ts';
import { Claim, isClaimed } from './claim.ts';
import { type Delivered, Delivery } from './delivery.ts';
import { publishEvent } from './outbox-events.ts';
import { requeue, requeueUnread } from './requeue.ts';

/** How much the clocks of queue and app may differ at most, as far as anybody counts on it: beyond it the recovery timer finds the message. */
const skewMs = 60_000;

interface Options {
  readonly signal: AbortSignal;
  /** See OutboxContext.enqueue. */
  readonly accepted?: string | undefined;
  /** The queue has handed this message out before: that attempt may have been cut, and left no trace. */
  readonly again?: boolean;
}

/** As `deliver`, by one of the workers that all accounts share: a message whose account has its share of them is requeued. */
export async function deliverFromQueue(context: OutboxContext, id: string, options: Options): Promise<Delivered> {
  return await withWorker(context, id, {
    run: () => deliver(context, id, options),
    requeue: (parts, paceMs) => requeueUnread(context, parts, { paceMs, accepted: options.accepted }),
  });
}

/**
 * Delivers one message once: claims it, sends, writes the receipt, emits the event. Calling it again, at any time and
 * from anywhere, is harmless.
 */
export async function deliver(context: OutboxContext, id: string, options: Options): Promise<Delivered> {
  const account = splitAccountId(id)?.account;
  const began = performance.now();
  return await inLogScope({ fields: { account, message: id } }, async () => {
    try {
      return await context.shutdown.track(deliverOnce(context, id, options));
    } catch (error) {
      log.error('outbox.deliverFailed', { ms: msSince(began), error: errorText(error) });
      throw error;
    }
  });
}

async function deliverOnce(context: OutboxContext, id: string, options: Options): Promise<Delivered> {
  if (context.shutdown.stopping.aborted) {
    // Another process takes it; this one begins nothing any more.
    await context.enqueue(id, 0, options.accepted);
    return 'requeued';
  }
  const parts = splitAccountId(id);
  const first = parts && options.accepted !== undefined && (await deliverAccepted(context, parts, options));
  // Where somebody was faster, the record says what is left to do.
  if (first && first !== 'claimed') return first;
  const row = parts && (await context.rows.get(parts.account, recordKey(parts.localId), options));
  if (!parts || !row) {
    log.warn('outbox.unknownMessage');
    return 'unknown';
  }
  const record = recordOf(parts.account, row);
  if (!openStatuses.includes(record.status)) {
    await publishEvent(context, record, row.etag);
    return 'ended';
  }
  const now = context.clock.now();
  if (isClaimed(row, now)) {
    return 'claimed';
  }
  const due = dueTime(row, record.nextAttemptAt ?? 0, now);
  if ((record.status !== 'sending' || record.leaseUntil === undefined) && due > now + earlyMs) {
    // The queue's clock ran ahead, or a delay longer than the queue's seven days was cut. Else the mail was tried before
    // its time came, and another queue message stands for its next attempt.
    if (record.status === 'scheduled' || due - now < skewMs) await context.enqueue(id, due - now);
    return 'waiting';
  }
  return (await attempt(context, { record, row }, options)) ?? 'claimed';
}

/**
 * The first delivery of a mail, which nobody has touched since it was accepted: its record is not read, since its claim is
 * made on the condition that it is as it was. Undefined: it is not, or cannot be read with the text.
 */
async function deliverAccepted(
  context: OutboxContext,
  parts: Pick<MessageRecord, 'account' | 'localId'>,
  { accepted = '', signal, again = false }: Options,
): Promise<Delivered | undefined> {
  const mail = await readAccepted(context, parts, accepted, { signal });
  return mail && (await attempt(context, { ...mail, isFirst: !again }, { signal }));
}

/** How an attempt begins. */
interface Attempt extends Pick<AcceptedMail, 'record' | 'row'> {
  readonly text?: Buffer;
  /** Nobody can have begun one before. */
  readonly isFirst?: boolean;
}

/** Makes an attempt, where the account's limits allow it. Undefined: the record is not as it was read any more. */
async function attempt(
  context: OutboxContext,
  { record, row, text, isFirst = false }: Attempt,
  options: Options,
): Promise<Delivered | undefined> {
  const account = await context.account(record.account, options.signal);
  const rate = sends(account) && !record.committing ? context.rate(account) : undefined;
  const token = rate && (await rate.acquire(options.signal));
  if (token && !isAcquired(token)) {
    const at = context.schedule.next(record.account, 'perMinute', token.retryAfterMs, rate.paceMs);
    return await requeue(context, record, row, at);
  }
  try {
    const quick = isFirst && commitsFirst(account) && isNew(record, context.clock.now());
    const claim = await Claim.acquire(context, record, row, { quick });
    if (!isAcquired(claim)) return undefined;
    return await new Delivery(context, claim, record, { account, token, text }).run(options.signal);
  } finally {
    token?.release();
  }
}

/** Of a mail that waited longer, its sender or the recovery timer may have thought again. In ms. */
const newForMs = 5_000;

function isNew({ createdAt }: MessageRecord, now: number): boolean {
  return Math.abs(now - Date.parse(createdAt)) < newForMs;
}

/** Whether nothing that lasts is done at the server before the commit point: Graph makes a draft there. */
function commitsFirst(account: Account | undefined): boolean {
  return sends(account) && account.transport?.protocol !== 'graph';
}

function sends(account: Account | undefined): account is Account {
  return account?.enabled === true && account.transport !== undefined;
}
