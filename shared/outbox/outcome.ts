import type { Receipt } from '../adapters/transport.ts';
import { toIso } from '../platform/clock.ts';
import type { Attempt, MessageRecord, MessageStatus, Recipient } from './record.ts';
import { nextAttempt } from './retry.ts';

/** Attempts kept in a record; 48 hours hold 51. */
const maxAttempts = 60;

function attemptOutcome(recipients: readonly Recipient[], before: MessageRecord): Attempt['outcome'] {
  const tried = recipients.filter((_, index) => isUnsettled(before.recipients[index]));
  const has = (status: Recipient['status']) => tried.some((recipient) => recipient.status === status);
  if (has('uncertain')) {
    return 'uncertain';
  }
  if (has('deferred') || has('pending')) {
    return 'deferred';
  }
  if (has('rejected')) {
    return has('accepted') ? 'partiallySent' : 'failed';
  }
  return 'sent';
}

/** A recipient that the next attempt goes to: nobody who was accepted, refused or left in doubt gets the mail again. */
export function isUnsettled(recipient: Recipient | undefined): boolean {
  return recipient?.status === 'pending' || recipient?.status === 'deferred';
}

/** Status of a message none of whose recipients is to be tried again. */
function endStatus(recipients: readonly Recipient[]): MessageStatus {
  const every = (status: Recipient['status']) => recipients.every((recipient) => recipient.status === status);
  if (recipients.some((recipient) => recipient.status === 'uncertain')) {
    return 'uncertain';
  }
  if (every('accepted')) {
    return 'sent';
  }
  return recipients.some((recipient) => recipient.status === 'accepted') ? 'partiallySent' : 'failed';
}

const eventOfStatus: Partial<Record<MessageStatus, string>> = {
  sent: 'mailroom.message.sent',
  partiallySent: 'mailroom.message.failed',
  failed: 'mailroom.message.failed',
  uncertain: 'mailroom.message.uncertain',
};

/** Drops the claim and keeps what its attempt came to. */
function released(record: MessageRecord): MessageRecord {
  const { claimOwner: _, claimUntil: __, claimedAt: ___, nextAttemptAt: ____, ...rest } = record;
  return rest;
}

/** Drops the claim; what is left is a record that nobody works on. */
function unclaimed(record: MessageRecord): MessageRecord {
  const { committing: _, committedAt: __, ...rest } = released(record);
  return rest;
}

function merge(recipients: readonly Recipient[], receipt: Receipt): Recipient[] {
  const results = new Map(receipt.recipients.map((result) => [result.address, result]));
  return recipients.map((recipient) => {
    const result = results.get(recipient.address);
    if (!result || !isUnsettled(recipient)) {
      return recipient;
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
export const settleForMs = 15 * 60_000;
export const settleEveryMs = 60_000;

/**
 * What a record becomes while its transport may yet find out what became of it: still sending, and asked about again in
 * a minute. Undefined where nothing is in doubt, or the time for finding out is over.
 */
export function whileInDoubt(record: MessageRecord, receipt: Receipt, now: number): MessageRecord | undefined {
  const inDoubt = receipt.recipients.some((result) => result.outcome === 'uncertain');
  const until = (record.committedAt ?? record.claimedAt ?? now) + settleForMs;
  return inDoubt && record.committing && now < until
    ? { ...released(record), nextAttemptAt: Math.min(now + settleEveryMs, until) }
    : undefined;
}

/** What a record becomes by an attempt's receipt: ended, or waiting for its next attempt. */
export function afterReceipt(record: MessageRecord, receipt: Receipt, now: number): MessageRecord {
  const recipients = merge(record.recipients, receipt);
  const decisive = receipt.trouble ?? receipt.recipients.find((result) => result.outcome !== 'accepted');
  const attempt: Attempt = {
    at: toIso(record.claimedAt ?? now),
    outcome: attemptOutcome(recipients, record),
    ...(decisive?.code ? { code: decisive.code } : {}),
    ...(decisive?.reply ? { reply: decisive.reply } : {}),
  };
  const attempts = [...record.attempts, attempt].slice(-maxAttempts);
  const tried: MessageRecord = { ...unclaimed(record), recipients, attempts };
  if (recipients.some(isUnsettled)) {
    const retryAfterMs = receipt.trouble?.retryAfterMs;
    const next = nextAttempt(attempts.length, record.firstAttemptAt ?? now, now, retryAfterMs);
    if (next !== undefined) {
      return { ...tried, status: 'queued', nextAttemptAt: next };
    }
  }
  // The 48 hours are over for those still waiting.
  const ended = recipients.map((recipient) =>
    isUnsettled(recipient) ? { ...recipient, status: 'rejected' as const } : recipient,
  );
  return end({ ...tried, recipients: ended }, endStatus(ended), now);
}

/**
 * What a record becomes that the account's limits did not let out: as it was before this claim, to come again at `at`.
 * What an earlier claim left is kept: `record` has it.
 */
export function afterPutBack(record: MessageRecord, before: MessageRecord, at: number): MessageRecord {
  const { firstAttemptAt: _, ...rest } = unclaimed(record);
  const { firstAttemptAt } = before;
  return { ...rest, ...(firstAttemptAt === undefined ? {} : { firstAttemptAt }), status: 'queued', nextAttemptAt: at };
}

/** Ends a record in a status, with the event that tells so still to be put. */
export function end(record: MessageRecord, status: MessageStatus, now: number): MessageRecord {
  const event = eventOfStatus[status];
  const reached = record.recipients.some((recipient) => recipient.status === 'accepted');
  return {
    ...unclaimed(record),
    status,
    ...(reached ? { sentAt: toIso(now) } : {}),
    ...(event ? { event } : {}),
  };
}

/** What a record becomes when its sender takes it back: recipients who already have it keep it. */
export function afterCancel(record: MessageRecord, now: number): MessageRecord {
  if (record.recipients.every((recipient) => isUnsettled(recipient))) {
    return { ...unclaimed(record), status: 'canceled' };
  }
  const recipients = record.recipients.map((recipient) =>
    isUnsettled(recipient) ? { ...recipient, status: 'rejected' as const, reply: 'canceled' } : recipient,
  );
  return end({ ...record, recipients }, endStatus(recipients), now);
}

/** A claim that passed its commit point and left no receipt: nobody can say, so nobody sends again (design 4.4). */
export function uncertainReceipt(record: MessageRecord): Receipt {
  return {
    recipients: record.recipients
      .filter(isUnsettled)
      .map((recipient) => ({ address: recipient.address, outcome: 'uncertain' as const })),
    trouble: {
      scope: 'connection',
      hint: 'The process ended after the last bytes may have left. Use resend after checking.',
    },
  };
}
