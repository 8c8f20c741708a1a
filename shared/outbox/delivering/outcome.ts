import type { Receipt } from '../../adapters/transport.ts';
import { toIso } from '../../platform/clock.ts';
import type { Attempt, MessageRecord, MessageStatus, Recipient } from '../record.ts';
import { nextAttempt, type RetryWaits, usualWaits } from './retry.ts';

/** Attempts kept in a record; 48 hours hold 51. */
const maxAttempts = 60;

/** A record's attempts with one more; of too many, the newest. When a resend was asked for last is never left out. */
export function withAttempt(attempts: readonly Attempt[], attempt: Attempt): Attempt[] {
  const all = [...attempts, attempt];
  const newest = all.slice(-maxAttempts);
  const resend = all.findLast(isResend);
  return resend && !newest.includes(resend) ? [resend, ...newest.slice(1)] : newest;
}

const isResend = ({ outcome }: Attempt) => outcome === 'resend';

/** An attempt that reached its end. */
const isMade = (attempt: Attempt) => !isResend(attempt) && attempt.outcome !== 'interrupted';

/** When a resend was asked for last (ISO 8601); undefined: never. */
export function resentAt({ attempts }: Pick<MessageRecord, 'attempts'>): string | undefined {
  return attempts.findLast(isResend)?.at;
}

function attemptOutcome(recipients: readonly Recipient[], before: MessageRecord): Attempt['outcome'] {
  const tried = recipients.filter((_, index) => awaitsDelivery(before.recipients[index]));
  const has = (status: Recipient['status']) => tried.some((recipient) => recipient.status === status);
  if (has('uncertain')) {
    return 'uncertain';
  }
  if (has('deferred') || has('pending')) {
    return 'deferred';
  }
  if (has('rejected')) {
    return tried.some(hasReached) ? 'partiallySent' : 'failed';
  }
  return 'sent';
}

/** A recipient for whom the mail was accepted, whether or not it came back later. */
export function hasReached({ status }: Recipient): boolean {
  return status === 'accepted' || status === 'bounced';
}

/** A recipient that the next attempt goes to: nobody who was accepted, refused or left in doubt gets the mail again. */
export function awaitsDelivery(recipient: Recipient | undefined): boolean {
  return recipient?.status === 'pending' || recipient?.status === 'deferred';
}

/** Status of a message none of whose recipients is to be tried again. */
function endStatus(recipients: readonly Recipient[]): MessageStatus {
  if (recipients.some((recipient) => recipient.status === 'uncertain')) {
    return 'uncertain';
  }
  if (recipients.every(hasReached)) {
    return 'sent';
  }
  return recipients.some(hasReached) ? 'partiallySent' : 'failed';
}

const eventOfStatus: Partial<Record<MessageStatus, string>> = {
  sent: 'mailroom.message.sent',
  partiallySent: 'mailroom.message.failed',
  failed: 'mailroom.message.failed',
  uncertain: 'mailroom.message.uncertain',
};

/** Drops the claim, and keeps that its commit point was passed. */
function released(record: MessageRecord): MessageRecord {
  const { leaseOwner: _, leaseUntil: __, claimedAt: ___, nextAttemptAt: ____, ...kept } = record;
  return kept;
}

/** Drops the claim; what is left is a record that nobody delivers. */
function unclaimed(record: MessageRecord): MessageRecord {
  const { committing: _, committedAt: __, queueGaveUp: ___, ...kept } = released(record);
  return kept;
}

function merge(recipients: readonly Recipient[], receipt: Receipt): Recipient[] {
  const results = new Map(receipt.recipients.map((result) => [result.address, result]));
  return recipients.map((recipient) => {
    const result = results.get(recipient.address);
    if (!result || !awaitsDelivery(recipient)) {
      return recipient;
    }
    if (result.bounce) {
      const { status: code, diagnostic: reply } = result.bounce;
      return { address: recipient.address, status: 'bounced', code, reply };
    }
    return {
      address: recipient.address,
      status: result.outcome,
      ...(result.code ? { code: result.code } : {}),
      ...(result.reply ? { reply: result.reply } : {}),
    };
  });
}

/** How long a transport that can find out is asked what became of a mail in doubt, from the commit on (design 4.5). */
export const resolveForMs = 15 * 60_000;
export const resolveEveryMs = 60_000;

/**
 * What a record becomes while its transport may yet find out what became of it: still sending, and asked about again in
 * a minute. Undefined where nothing is in doubt, or the time for finding out is over.
 */
export function whileInDoubt(record: MessageRecord, receipt: Receipt, now: number): MessageRecord | undefined {
  const inDoubt = receipt.recipients.some((result) => result.outcome === 'uncertain');
  const until = (record.committedAt ?? record.claimedAt ?? now) + resolveForMs;
  return inDoubt && record.committing && now < until
    ? { ...released(record), nextAttemptAt: Math.min(now + resolveEveryMs, until) }
    : undefined;
}

/**
 * What a record becomes by an attempt's receipt at `now` (ms): ended, or waiting for its next attempt, which `waits`
 * decide.
 */
export function afterReceipt(
  record: MessageRecord,
  receipt: Receipt,
  now: number,
  waits: RetryWaits = usualWaits,
): MessageRecord {
  const recipients = merge(record.recipients, receipt);
  const decisive = receipt.trouble ?? receipt.recipients.find((result) => result.outcome !== 'accepted');
  const attempt: Attempt = {
    at: toIso(record.claimedAt ?? now),
    outcome: attemptOutcome(recipients, record),
    ...(decisive?.code ? { code: decisive.code } : {}),
    ...(decisive?.reply ? { reply: decisive.reply } : {}),
    ...(receipt.trouble?.hint ? { hint: receipt.trouble.hint } : {}),
  };
  const earlier = record.attempts.map(({ hint: _, ...kept }) => kept);
  const attempts = withAttempt(earlier, attempt);
  const { retryAfterAt: _, sentAt, ...kept } = unclaimed(record);
  // Of a mail that is sent again, the time stays unless somebody else has it now.
  const reached = receipt.recipients.some(({ outcome }) => outcome === 'accepted');
  const tried: MessageRecord = {
    ...kept,
    ...(sentAt === undefined || reached ? {} : { sentAt }),
    recipients,
    attempts,
  };
  if (recipients.some(awaitsDelivery)) {
    const retryAfterMs = receipt.trouble?.retryAfterMs;
    const since = attempts.length - 1 - attempts.findLastIndex(isResend);
    const next = nextAttempt(
      { attempts: since, firstAttemptAt: record.firstAttemptAt ?? now, retryAfterMs },
      now,
      waits,
    );
    if (next !== undefined) {
      const asked = retryAfterMs === undefined ? {} : { retryAfterAt: now + retryAfterMs };
      return { ...tried, ...asked, status: 'queued', nextAttemptAt: next };
    }
  }
  // The 48 hours are over for those still waiting.
  const ended = recipients.map((recipient) =>
    awaitsDelivery(recipient) ? { ...recipient, status: 'rejected' as const } : recipient,
  );
  return end({ ...tried, recipients: ended }, endStatus(ended), now);
}

/**
 * What a record becomes that is requeued without an attempt: as it was before this claim, to come again at `at` (ms since
 * the epoch). What an earlier claim left is kept: `record` has it.
 */
export function afterRequeue(record: MessageRecord, before: MessageRecord, at: number): MessageRecord {
  const { firstAttemptAt: _, ...kept } = unclaimed(record);
  const { firstAttemptAt } = before;
  return { ...kept, ...(firstAttemptAt === undefined ? {} : { firstAttemptAt }), status: 'queued', nextAttemptAt: at };
}

/** Ends a record in a status; the event about it is still to be published. */
function end(record: MessageRecord, status: MessageStatus, now: number): MessageRecord {
  const event = eventOfStatus[status];
  const { inDoubtSince: _, ...kept } = unclaimed(record);
  const reached = record.recipients.some(hasReached);
  return {
    ...kept,
    status,
    endedAt: now,
    ...(reached ? { sentAt: record.sentAt ?? toIso(now) } : {}),
    ...(event ? { event } : {}),
  };
}

/** What a record becomes when it is canceled: recipients who already have it keep it. */
export function afterCancel(record: MessageRecord, now: number): MessageRecord {
  if (record.recipients.every((recipient) => awaitsDelivery(recipient))) {
    return { ...unclaimed(record), status: 'canceled', endedAt: now };
  }
  // The code of an earlier reply says nothing about this end.
  const recipients = record.recipients.map((recipient) =>
    awaitsDelivery(recipient)
      ? { address: recipient.address, status: 'rejected' as const, reply: 'canceled' }
      : recipient,
  );
  const ended = end({ ...record, recipients }, endStatus(recipients), now);
  // Who has it got it by an attempt, and not now.
  const sentAt = record.sentAt ?? record.attempts.findLast(isMade)?.at;
  return recipients.some(hasReached) && sentAt ? { ...ended, sentAt } : ended;
}

/**
 * What an ended record becomes when a person asks for it to be sent again at `now` (ms): every recipient that was not
 * accepted waits, and the 48 hours start again.
 */
export function afterResend(record: MessageRecord, now: number): MessageRecord {
  const { firstAttemptAt: _, retryAfterAt: __, endedAt: ___, event: ____, ...kept } = unclaimed(record);
  const open = record.recipients.filter((recipient) => !hasReached(recipient));
  const lastAt = record.attempts.findLast(({ outcome }) => outcome === 'uncertain')?.at;
  const inDoubt = record.remembered !== undefined && open.every(({ status }) => status === 'uncertain');
  return {
    ...kept,
    status: 'queued',
    recipients: record.recipients.map((recipient) =>
      hasReached(recipient) ? recipient : { address: recipient.address, status: 'pending' },
    ),
    attempts: withAttempt(record.attempts, { at: toIso(now), outcome: 'resend' }),
    ...(inDoubt && lastAt !== undefined ? { inDoubtSince: Date.parse(lastAt) } : {}),
  };
}

const whyGivenUp = {
  queueGaveUp: 'Every delivery failed in the service itself; its log has the reason (outbox.deliverFailed)',
  recordUnreadable: 'Its record cannot be read: a newer version may have written it, or somebody changed it',
} as const;

/**
 * What a record becomes whose delivery was given up at `now` (ms), for a reason of the service's own: nobody is tried any
 * more. It is uncertain behind its commit point, and where nobody knows any more whom it was for.
 */
export function afterGivenUp(record: MessageRecord, now: number, code: keyof typeof whyGivenUp): MessageRecord {
  const reason = { code, reply: whyGivenUp[code] };
  const inDoubt = record.committing === true || record.recipients.length === 0;
  const status = inDoubt ? ('uncertain' as const) : ('rejected' as const);
  const recipients = record.recipients.map((recipient) =>
    awaitsDelivery(recipient) ? { address: recipient.address, status, ...reason } : recipient,
  );
  const outcome = inDoubt ? ('uncertain' as const) : ('failed' as const);
  const attempts = withAttempt(record.attempts, { at: toIso(now), outcome, ...reason });
  return end({ ...record, recipients, attempts }, inDoubt ? 'uncertain' : endStatus(recipients), now);
}

/** A claim that passed its commit point and left no receipt: nobody can say, so nobody sends again (design 4.4). */
export function uncertainReceipt(record: MessageRecord): Receipt {
  return {
    recipients: record.recipients
      .filter(awaitsDelivery)
      .map((recipient) => ({ address: recipient.address, outcome: 'uncertain' as const })),
    trouble: {
      scope: 'connection',
      hint: 'The process ended after the last bytes may have left. Use resend after checking.',
    },
  };
}
