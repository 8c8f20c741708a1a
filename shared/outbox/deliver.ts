import type { SendToken } from '../accounts/limits/process-rate.ts';
import type { Account } from '../accounts/rules.ts';
import type { FrozenMail, MailTransport, Receipt } from '../adapters/transport.ts';
import { splitAccountId } from '../platform/ids.ts';
import { errorText, inLogScope, log, msSince } from '../platform/log.ts';
import type { RowWrite } from '../platform/rows.ts';
import { logAttempt } from './attempt-log.ts';
import { Claim, ClaimLost } from './claim.ts';
import type { OutboxContext } from './context.ts';
import { frozenMail } from './frozen-mail.ts';
import { publishEvent } from './outbox-events.ts';
import { afterPutBack, afterReceipt, isUnsettled, uncertainReceipt, whileInDoubt } from './outcome.ts';
import { connectionPaceMs, putBack, putBackUnread } from './put-back.ts';
import { type MessageRecord, openStatuses, recordId, recordKey, recordOf } from './record.ts';
import { copyKey, newCopy } from './sent-copy-state.ts';

/** Mail up to this many bytes is read while it waits for a connection, which then waits for no storage. */
const aheadBelow = 256 << 10;

/** How early before its time a message may go: clocks of queue and app differ a little. */
const earlyMs = 2_000;

/**
 * `waiting`: a later attempt follows; `busy`: somebody else holds the claim; `putBack`: the account's limits, or its share
 * of the workers, are used up, and the mail comes again without this having been an attempt.
 */
export type Delivered = 'ended' | 'waiting' | 'busy' | 'unknown' | 'putBack';

/** As `deliver`, by one of the workers that all accounts share: an account that has its share of them waits. */
export async function deliverFromQueue(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<Delivered> {
  const parts = splitAccountId(id);
  if (!parts) {
    return await deliver(context, id, options);
  }
  const leave = await context.workers.enter(parts.account);
  if (!leave) {
    return await putBackUnread(context, parts);
  }
  try {
    return await deliver(context, id, options);
  } finally {
    leave();
  }
}

/**
 * Delivers one message once: claims it, sends, writes the receipt, emits the event. Calling it again, at any time and
 * from anywhere, is harmless.
 */
export async function deliver(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<Delivered> {
  const parts = splitAccountId(id);
  const began = performance.now();
  return await inLogScope({ fields: { account: parts?.account, message: id } }, async () => {
    try {
      return await deliverOnce(context, id, parts, options);
    } catch (error) {
      log.error('outbox.deliverFailed', { ms: msSince(began), error: errorText(error) });
      throw error;
    }
  });
}

async function deliverOnce(
  context: OutboxContext,
  id: string,
  parts: ReturnType<typeof splitAccountId>,
  options: { readonly signal: AbortSignal },
): Promise<Delivered> {
  const row = parts && (await context.rows.get(parts.account, recordKey(parts.rest), options));
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
  if (record.status === 'sending' && (record.claimUntil ?? 0) > now) {
    return 'busy';
  }
  const due = record.nextAttemptAt ?? 0;
  if ((record.status !== 'sending' || record.claimUntil === undefined) && due > now + earlyMs) {
    // The queue's clock ran ahead, or a delay longer than the queue's seven days was cut.
    await context.enqueue(id, due - now);
    return 'waiting';
  }
  const account = await context.account(record.account, options.signal);
  const rate = sends(account) && !record.committing ? context.rate(account) : undefined;
  const token = await rate?.take(options.signal);
  if (token && 'waitMs' in token) {
    const at = context.line.next(record.account, 'perMinute', token.waitMs, rate?.paceMs ?? 0);
    return await putBack(context, record, row, at);
  }
  try {
    const claim = await Claim.take(context, record, row);
    return claim ? await attempt(context, claim, record, { account, token }, options.signal) : 'busy';
  } finally {
    token?.giveBack();
  }
}

function sends(account: Account | undefined): account is Account {
  return account?.enabled === true && account.transport !== undefined;
}

/** What an attempt is made with. */
interface Means {
  readonly account: Account | undefined;
  /** The right to send a mail now; undefined where the account has no limit in time. */
  readonly token: SendToken | undefined;
}

async function attempt(
  context: OutboxContext,
  claim: Claim,
  before: MessageRecord,
  means: Means,
  callerSignal: AbortSignal,
): Promise<'ended' | 'waiting' | 'busy' | 'putBack'> {
  const signal = AbortSignal.any([callerSignal, claim.lost]);
  const started = performance.now();
  try {
    const { receipt, canSettle } = await receiptFor(context, claim, before, means, signal);
    const interrupted = before.claimedAt !== undefined && !before.committing ? [interruptedAttempt(before)] : [];
    const record = { ...claim.record, attempts: [...claim.record.attempts, ...interrupted] };
    const now = context.clock.now();
    const limited = receipt.trouble?.scope === 'limit';
    const outcome = limited
      ? afterPutBack(record, before, comesAgain(context, record.account, receipt))
      : (canSettle && whileInDoubt(record, receipt, now)) || afterReceipt(record, receipt, now);
    const owesCopy = owesSentCopy(means.account, outcome);
    const after = owesCopy ? { ...outcome, sentCopy: 'pending' as const } : outcome;
    const copy: RowWrite[] = owesCopy ? [{ kind: 'put', key: copyKey(after.rest), columns: { ...newCopy(now) } }] : [];
    const etag = await claim.finish(after, openStatuses.includes(after.status), copy);
    logAttempt(after, receipt, now, msSince(started));
    await afterAttempt(context, after, etag, receipt, owesCopy);
    if (limited) return 'putBack';
    return openStatuses.includes(after.status) ? 'waiting' : 'ended';
  } catch (error) {
    claim.abandon();
    if (error instanceof ClaimLost) {
      return 'busy';
    }
    throw error;
  }
}

/** Whether the first of its recipients was accepted now, and the account keeps copies of what it sends. */
function owesSentCopy(account: Account | undefined, { recipients, sentCopy }: MessageRecord): boolean {
  const transport = account?.transport;
  const keeps = (transport?.protocol === 'smtp' || transport?.protocol === 'smtps') && transport.saveToSent;
  return keeps && sentCopy === undefined && recipients.some(({ status }) => status === 'accepted');
}

function comesAgain(context: OutboxContext, account: string, { trouble }: Receipt): number {
  return context.line.next(account, 'connections', trouble?.retryAfterMs ?? 0, connectionPaceMs);
}

function interruptedAttempt(before: MessageRecord) {
  return { at: new Date(before.claimedAt ?? 0).toISOString(), outcome: 'interrupted' as const };
}

async function afterAttempt(
  context: OutboxContext,
  after: MessageRecord,
  etag: string,
  receipt: Receipt,
  owesCopy: boolean,
): Promise<void> {
  // The copy comes behind the event, since both write to the record in the end.
  const closing = async () => {
    if (after.event) {
      await publishEvent(context, after, etag);
    }
    if (owesCopy) {
      await context.enqueueCopy(recordId(after), 0);
    }
  };
  const tasks: Promise<unknown>[] = [closing()];
  if (openStatuses.includes(after.status) && after.nextAttemptAt !== undefined) {
    tasks.push(context.enqueue(recordId(after), after.nextAttemptAt - context.clock.now()));
  }
  if (receipt.trouble?.scope === 'account' || (receipt.trouble?.scope === 'connection' && staysAway(after))) {
    tasks.push(context.health.failing(after.account, 'transport', receipt.trouble));
  } else if (receipt.recipients.some((result) => result.outcome === 'accepted')) {
    tasks.push(context.health.working(after.account, 'transport'));
  }
  // The receipt is durable: whatever fails here is done again by the recovery timer.
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === 'rejected') {
      log.warn('outbox.afterAttempt', { error: errorText(result.reason) });
    }
  }
}

/** One lost connection is the network's; as many attempts in a row that reached nobody are the account's trouble. */
const awayAttempts = 3;

function staysAway({ attempts }: MessageRecord): boolean {
  const last = attempts.slice(-awayAttempts);
  return last.length === awayAttempts && last.every(({ outcome }) => outcome === 'deferred');
}

async function receiptFor(
  context: OutboxContext,
  claim: Claim,
  before: MessageRecord,
  { account, token }: Means,
  signal: AbortSignal,
): Promise<{ readonly receipt: Receipt; readonly canSettle: boolean }> {
  const waiting = before.recipients.filter(isUnsettled).map((recipient) => recipient.address);
  const all = (outcome: 'rejected' | 'deferred', code: string, reply: string) => ({
    receipt: {
      recipients: waiting.map((address) => ({ address, outcome, code, reply })),
      trouble: { scope: outcome === 'rejected' ? ('message' as const) : ('account' as const), code, reply },
    },
    canSettle: false,
  });
  const transport = account?.enabled === false ? undefined : account && (await context.transport(account));
  const canSettle = transport?.settle !== undefined;
  if (before.committing) {
    const receipt = await settled(context, claim, before, transport, waiting, signal);
    return { receipt: receipt ?? uncertainReceipt(before), canSettle };
  }
  if (!account) {
    return all('rejected', 'accountDeleted', 'The account was deleted before the mail was sent');
  }
  if (!transport) {
    return all('deferred', account.enabled ? 'noTransport' : 'accountDisabled', 'The account cannot send now');
  }
  const mail = readAhead(frozenMail(context, before, waiting), signal);
  const { remembered } = before;
  let late = false;
  const receipt = await transport.send(mail, {
    signal,
    beforeCommit: async () => {
      await claim.commit();
      // Last of all: the minute in which the mail counts begins when it leaves.
      late = token?.use() === false;
      if (late) throw new Error('the right to send could not be renewed in time');
    },
    remember: (note) => claim.remember(note),
    ...(remembered === undefined ? {} : { remembered }),
  });
  return { receipt: late ? { ...receipt, trouble: { scope: 'limit', code: 'TOKEN_LAPSED' } } : receipt, canSettle };
}

/** Asks the transport what became of an attempt that was cut after its commit point, where it can find out. */
async function settled(
  context: OutboxContext,
  claim: Claim,
  before: MessageRecord,
  transport: MailTransport | undefined,
  waiting: readonly string[],
  signal: AbortSignal,
): Promise<Receipt | undefined> {
  return await transport?.settle?.(frozenMail(context, before, waiting), {
    signal,
    remember: (note) => claim.remember(note),
    sinceCommitMs: context.clock.now() - (before.committedAt ?? before.claimedAt ?? 0),
    ...(before.remembered === undefined ? {} : { remembered: before.remembered }),
  });
}

/** The mail with its bytes on their way already, where they are few. */
function readAhead(mail: FrozenMail, signal: AbortSignal): FrozenMail {
  if (mail.size > aheadBelow) {
    return mail;
  }
  const opened = mail.open(signal);
  // A failure is met by whoever opens it; it may be that nobody does.
  opened.catch(() => undefined);
  let first = true;
  return {
    ...mail,
    open: (again) => {
      const use = first ? opened : mail.open(again);
      first = false;
      return use;
    },
  };
}
