import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../adapters/transport.ts';
import type { MessageRecord } from '../record.ts';
import { whileInDoubt } from './outcome.ts';

const now = Date.UTC(2026, 5, 1);
const minute = 60_000;

const record: MessageRecord = {
  account: 'corpus',
  localId: 'localId',
  status: 'sending',
  messageId: '<m@example.com>',
  createdAt: new Date(now).toISOString(),
  envelope: { from: 'corpus@example.com' },
  headerFrom: 'corpus@example.com',
  bcc: [],
  size: 10,
  recipients: [{ address: 'a', status: 'pending' }],
  attempts: [],
  leaseOwner: 'me',
  leaseUntil: now + minute,
  claimedAt: now + minute,
  committing: true,
  committedAt: now,
  firstAttemptAt: now,
  remembered: 'the draft',
};
const receipt = (outcome: Receipt['recipients'][number]['outcome']): Receipt => ({
  recipients: [{ address: 'a', outcome }],
});

describe('a mail in doubt that its transport can find out about', () => {
  it('stays sending, unclaimed, with what was committed and remembered, and is asked about in a minute', () => {
    const waiting = whileInDoubt(record, receipt('uncertain'), now + 2 * minute);
    expect(waiting).toMatchObject({
      status: 'sending',
      committing: true,
      committedAt: now,
      remembered: 'the draft',
      nextAttemptAt: now + 3 * minute,
      recipients: record.recipients,
      attempts: [],
    });
    for (const field of ['leaseOwner', 'leaseUntil', 'claimedAt']) expect(waiting).not.toHaveProperty(field);
  });

  it('is asked about for fifteen minutes from the commit, and no longer', () => {
    expect(whileInDoubt(record, receipt('uncertain'), now + 14.5 * minute)?.nextAttemptAt).toBe(now + 15 * minute);
    expect(whileInDoubt(record, receipt('uncertain'), now + 15 * minute)).toBeUndefined();
  });

  it('is none once its outcome is known, or before its commit', () => {
    for (const outcome of ['accepted', 'rejected', 'deferred'] as const) {
      expect(whileInDoubt(record, receipt(outcome), now)).toBeUndefined();
    }
    const { committing: _, ...uncommitted } = record;
    expect(whileInDoubt(uncommitted, receipt('uncertain'), now)).toBeUndefined();
  });
});
