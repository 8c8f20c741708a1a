import { describe, expect, it } from 'vitest';
import type { Receipt } from '../adapters/transport.ts';
import { afterCancel, afterReceipt, uncertainReceipt } from './outcome.ts';
import type { MessageRecord } from './record.ts';
import { nextAttempt } from './retry.ts';

const now = Date.UTC(2026, 5, 1);
const minute = 60_000;

function record(...recipients: MessageRecord['recipients']): MessageRecord {
  return {
    account: 'corpus',
    rest: 'rest',
    status: 'sending',
    messageId: '<m@example.com>',
    createdAt: new Date(now).toISOString(),
    envelope: { from: 'corpus@example.com' },
    headerFrom: 'corpus@example.com',
    bcc: [],
    size: 10,
    recipients,
    attempts: [],
    claimOwner: 'me',
    claimUntil: now + minute,
    claimedAt: now,
    committing: true,
    firstAttemptAt: now,
  };
}

const pending = (address: string) => ({ address, status: 'pending' as const });
const result = (address: string, outcome: Receipt['recipients'][number]['outcome'], code = '250') => ({
  address,
  outcome,
  code,
});

describe('a receipt', () => {
  it('that accepts everybody ends the message as sent', () => {
    const after = afterReceipt(record(pending('a')), { recipients: [result('a', 'accepted')] }, now);
    expect(after).toMatchObject({
      status: 'sent',
      event: 'mailroom.message.sent',
      sentAt: new Date(now).toISOString(),
    });
    expect(after).not.toHaveProperty('claimOwner');
    expect(after).not.toHaveProperty('committing');
  });

  it('with one bad recipient: the others have it, and nobody gets it again', () => {
    const receipt = { recipients: [result('a', 'accepted'), result('b', 'rejected', '550')] };
    expect(afterReceipt(record(pending('a'), pending('b')), receipt, now)).toMatchObject({
      status: 'partiallySent',
      event: 'mailroom.message.failed',
    });
  });

  it('with a deferred recipient: only that one is tried again, after a minute', () => {
    const receipt = { recipients: [result('a', 'accepted'), result('b', 'deferred', '450')] };
    const after = afterReceipt(record(pending('a'), pending('b')), receipt, now);
    expect(after).toMatchObject({ status: 'queued', nextAttemptAt: now + minute });
    expect(after.recipients).toEqual([
      { address: 'a', status: 'accepted', code: '250' },
      { address: 'b', status: 'deferred', code: '450' },
    ]);
  });

  it('a late answer does not undo what an earlier attempt settled', () => {
    const before = record({ address: 'a', status: 'accepted' }, pending('b'));
    const after = afterReceipt(before, { recipients: [result('a', 'rejected'), result('b', 'accepted')] }, now);
    expect(after.status).toBe('sent');
  });

  it('after 48 hours the waiting ones are given up', () => {
    const before = { ...record(pending('a')), firstAttemptAt: now - 48 * 60 * minute + 1 };
    const after = afterReceipt(before, { recipients: [result('a', 'deferred', '421')] }, now);
    expect(after).toMatchObject({ status: 'failed', recipients: [{ status: 'rejected', code: '421' }] });
  });

  it('that is missing after the commit point makes the message uncertain', () => {
    const before = record(pending('a'));
    expect(afterReceipt(before, uncertainReceipt(before), now)).toMatchObject({
      status: 'uncertain',
      event: 'mailroom.message.uncertain',
    });
  });
});

describe('attempts', () => {
  it('come after 1, 5, 15, 60 minutes, then hourly', () => {
    const waits = [1, 2, 3, 4, 5, 6].map((attempts) => (nextAttempt(attempts, now, now, undefined) ?? 0) - now);
    expect(waits.map((wait) => wait / minute)).toEqual([1, 5, 15, 60, 60, 60]);
  });

  it('never come earlier than the server asked', () => {
    expect(nextAttempt(1, now, now, 600_000)).toBe(now + 600_000);
    expect(nextAttempt(3, now, now, 1_000)).toBe(now + 15 * minute);
  });
});

describe('canceling', () => {
  it('before anybody has it leaves nothing to tell', () => {
    expect(afterCancel(record(pending('a')), now)).toMatchObject({ status: 'canceled' });
    expect(afterCancel(record(pending('a')), now)).not.toHaveProperty('event');
  });

  it('after somebody has it is told as partly sent', () => {
    const before = record({ address: 'a', status: 'accepted' }, { address: 'b', status: 'deferred' });
    expect(afterCancel(before, now)).toMatchObject({ status: 'partiallySent', event: 'mailroom.message.failed' });
  });
});
