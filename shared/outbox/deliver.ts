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
import { afterReceipt, isUnsettled, uncertainReceipt, whileInDoubt } from './outcome.ts';
import { type MessageRecord, openStatuses, recordId, recordKey, recordOf } from './record.ts';
import { copyKey, newCopy } from './sent-copy-state.ts';

/** Mail up to this many bytes is read while it waits for a connection, which then waits for no storage. */
const aheadBelow = 256 << 10;

/** How early before its time a message may go: clocks of queue and app differ a little. */
const earlyMs = 2_000;

/**
 * Delivers one message once: claims it, sends, writes the receipt, emits the event. Calling it again, at any time and
 * from anywhere, is harmless. `waiting`: put back for a later attempt; `busy`: somebody else holds the claim.
 */
export async function deliver(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<'ended' | 'waiting' | 'busy' | 'unknown'> {
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
): Promise<'ended' | 'waiting' | 'busy' | 'unknown'> {
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
  const claim = await Claim.take(context, record, row);
  if (!claim) {
    return 'busy';
  }
  return await attempt(context, claim, record, account, options.signal);
}

async function attempt(
  context: OutboxContext,
  claim: Claim,
  before: MessageRecord,
  account: Account | undefined,
  callerSignal: AbortSignal,
): Promise<'ended' | 'waiting' | 'busy'> {
  const signal = AbortSignal.any([callerSignal, claim.lost]);
  const started = performance.now();
  try {
    const { receipt, canSettle } = await receiptFor(context, claim, before, account, signal);
    const interrupted = before.claimedAt !== undefined && !before.committing ? [interruptedAttempt(before)] : [];
    const record = { ...claim.record, attempts: [...claim.record.attempts, ...interrupted] };
    const now = context.clock.now();
    const outcome = (canSettle && whileInDoubt(record, receipt, now)) || afterReceipt(record, receipt, now);
    const owesCopy = owesSentCopy(account, outcome);
    const after = owesCopy ? { ...outcome, sentCopy: 'pending' as const } : outcome;
    const copy: RowWrite[] = owesCopy ? [{ kind: 'put', key: copyKey(after.rest), columns: { ...newCopy(now) } }] : [];
    const etag = await claim.finish(after, openStatuses.includes(after.status), copy);
    logAttempt(after, receipt, now, msSince(started));
    await afterAttempt(context, after, etag, receipt, owesCopy);
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
  account: Account | undefined,
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
  const receipt = await transport.send(mail, {
    signal,
    beforeCommit: () => claim.commit(),
    remember: (note) => claim.remember(note),
    ...(remembered === undefined ? {} : { remembered }),
  });
  return { receipt, canSettle };
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
