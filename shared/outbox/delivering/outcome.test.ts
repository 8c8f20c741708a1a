import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../adapters/transport.ts';
import type { Attempt, MessageRecord } from '../record.ts';
import {
  afterCancel,
  afterGivenUp,
  afterReceipt,
  afterRequeue,
  afterResend,
  resentAt,
  uncertainReceipt,
  withAttempt,
} from './outcome.ts';
import { nextAttempt, type RetryWaits, usualWaits } from './retry.ts';

const now = Date.UTC(2026, 5, 1);
const minute = 60_000;

function record(...recipients: MessageRecord['recipients']): MessageRecord {
  return {
    account: 'corpus',
    localId: 'localId',
    status: 'sending',
    messageId: '<m@example.com>',
    createdAt: new Date(now).toISOString(),
    envelope: { from: 'corpus@example.com' },
    headerFrom: 'corpus@example.com',
    bcc: [],
    size: 10,
    recipients,
    attempts: [],
    leaseOwner: 'me',
    leaseUntil: now + minute,
    claimedAt: now,
    committing: true,
    firstAttemptAt: now,
  };
}

const iso = (ms: number) => new Date(ms).toISOString();
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
    expect(after).not.toHaveProperty('leaseOwner');
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

/** Minutes until the next attempt; undefined: there is none. */
function waitAfter(attempts: number, waits: RetryWaits, minutesSinceFirst = 0): number | undefined {
  const tried = { attempts, firstAttemptAt: now - minutesSinceFirst * minute, retryAfterMs: undefined };
  const next = nextAttempt(tried, now, waits);
  return next === undefined ? undefined : (next - now) / minute;
}

describe('attempts', () => {
  it('come after 1, 5, 15, 60 minutes, then hourly', () => {
    expect([1, 2, 3, 4, 5, 6].map((attempts) => waitAfter(attempts, usualWaits))).toEqual([1, 5, 15, 60, 60, 60]);
  });

  it('come as the setting says, the last wait going on', () => {
    expect([1, 2, 3, 4].map((attempts) => waitAfter(attempts, [2 * minute, 30 * minute]))).toEqual([2, 30, 30, 30]);
    expect(waitAfter(1, [2 * minute], 48 * 60 - 2)).toBe(2);
    expect(waitAfter(1, [2 * minute], 48 * 60 - 1)).toBeUndefined();
  });

  it('never come earlier than the server asked', () => {
    const asked = { firstAttemptAt: now, retryAfterMs: 10 * minute };
    expect(nextAttempt({ ...asked, attempts: 1 }, now, usualWaits)).toBe(now + 10 * minute);
    expect(nextAttempt({ ...asked, attempts: 3 }, now, usualWaits)).toBe(now + 15 * minute);
  });
});

describe('canceling', () => {
  it('before anybody has it leaves nothing to say', () => {
    expect(afterCancel(record(pending('a')), now)).toMatchObject({ status: 'canceled' });
    expect(afterCancel(record(pending('a')), now)).not.toHaveProperty('event');
  });

  it('after somebody has it is reported as partly sent', () => {
    const before = record({ address: 'a', status: 'accepted' }, { address: 'b', status: 'deferred' });
    expect(afterCancel(before, now)).toMatchObject({ status: 'partiallySent', event: 'mailroom.message.failed' });
  });

  it('says when it was sent, and not when it was canceled, and nothing of an earlier reply', () => {
    const at = new Date(now - 60_000).toISOString();
    const deferred = { address: 'b', status: 'deferred', code: '451', reply: '4.2.0 later' } as const;
    const before = record({ address: 'a', status: 'accepted' }, deferred);
    const after = afterCancel({ ...before, attempts: [{ at, outcome: 'deferred', code: '451' }] }, now);
    expect(after.sentAt).toBe(at);
    expect(after.recipients[1]).toEqual({ address: 'b', status: 'rejected', reply: 'canceled' });
  });

  it('says no time where nobody has it', () => {
    const before = record({ address: 'a', status: 'rejected' }, { address: 'b', status: 'deferred' });
    const after = afterCancel({ ...before, attempts: [{ at: iso(now), outcome: 'deferred' }] }, now);
    expect(after.status).toBe('failed');
    expect(after).not.toHaveProperty('sentAt');
  });

  it('of a mail that was to be sent again says when those got it who have it', () => {
    const before = record({ address: 'a', status: 'accepted' }, pending('b'));
    const attempts = (['partiallySent', 'resend', 'interrupted'] as const).map((outcome, minutes) => ({
      at: iso(now + minutes * minute),
      outcome,
    }));
    const sentAt = iso(now - minute);
    expect(afterCancel({ ...before, attempts, sentAt }, now + 9 * minute).sentAt).toBe(sentAt);
    expect(afterCancel({ ...before, attempts }, now + 9 * minute).sentAt).toBe(iso(now));
  });
});

describe('a server that asked to wait (Retry-After)', () => {
  const asked = (retryAfterMs?: number): Receipt => ({
    recipients: [result('a', 'deferred', '429')],
    trouble: { scope: 'throttled', code: '429', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });

  it('is heard: not earlier, and noted for whoever brings the mail forward', () => {
    const after = afterReceipt(record(pending('a')), asked(10 * minute), now);
    expect(after).toMatchObject({ nextAttemptAt: now + 10 * minute, retryAfterAt: now + 10 * minute });
    const again = afterReceipt({ ...record(pending('a')), retryAfterAt: now }, asked(), now);
    expect(again.nextAttemptAt).toBe(now + minute);
    expect(again).not.toHaveProperty('retryAfterAt');
  });
});

/** What a claim and an attempt leave in a record, and what must not outlive them. */
const claimFields = ['leaseOwner', 'leaseUntil', 'claimedAt', 'committing', 'committedAt', 'queueGaveUp'];
const unclaimed = (after: MessageRecord) => claimFields.filter((field) => field in after);

type Status = MessageRecord['recipients'][number]['status'];
type Outcome = Receipt['recipients'][number]['outcome'];
const withStatus = (status: Status, index: number) => ({ address: `r${index}`, status });

describe('an attempt', () => {
  it.each<[Status[], (Outcome | 'bounced' | undefined)[], string, string]>([
    [['pending'], ['accepted'], 'sent', 'sent'],
    [['pending'], ['bounced'], 'sent', 'sent'],
    [['pending', 'pending'], ['accepted', 'rejected'], 'partiallySent', 'partiallySent'],
    [['pending', 'pending'], ['bounced', 'rejected'], 'partiallySent', 'partiallySent'],
    [['pending', 'pending'], ['rejected', 'rejected'], 'failed', 'failed'],
    [['accepted', 'deferred'], [undefined, 'rejected'], 'failed', 'partiallySent'],
    [['bounced', 'deferred'], [undefined, 'rejected'], 'failed', 'partiallySent'],
    [['rejected', 'deferred'], [undefined, 'accepted'], 'sent', 'partiallySent'],
    [['pending', 'pending'], ['accepted', 'deferred'], 'deferred', 'queued'],
    [['pending', 'pending'], ['rejected', undefined], 'deferred', 'queued'],
    [['pending', 'pending'], ['deferred', 'uncertain'], 'uncertain', 'queued'],
    [['pending', 'pending'], ['accepted', 'uncertain'], 'uncertain', 'uncertain'],
    [['uncertain', 'pending'], [undefined, 'accepted'], 'sent', 'uncertain'],
    [['rejected', 'uncertain', 'pending'], [undefined, undefined, 'rejected'], 'failed', 'uncertain'],
  ])('at %j that gets %j is %s, and the message %s', (statuses, results, outcome, status) => {
    const recipients = results.flatMap((given, index): Receipt['recipients'][number][] => {
      const address = `r${index}`;
      if (given === 'bounced') return [{ address, outcome: 'accepted', bounce: { status: '5.1.1', diagnostic: 'no' } }];
      return given ? [{ address, outcome: given }] : [];
    });
    const after = afterReceipt(record(...statuses.map(withStatus)), { recipients }, now);
    expect([after.attempts.at(-1)?.outcome, after.status]).toEqual([outcome, status]);
  });

  it('leaves what each server said, and nothing where it said nothing', () => {
    const receipt: Receipt = {
      recipients: [
        { address: 'a', outcome: 'accepted', bounce: { status: '5.1.1', diagnostic: 'no such user' } },
        { address: 'b', outcome: 'rejected', code: '550', reply: 'not you' },
        { address: 'c', outcome: 'accepted' },
        { address: 'another', outcome: 'accepted' },
      ],
    };
    const after = afterReceipt(record(...['a', 'b', 'c', 'd'].map(pending)), receipt, now);
    expect(after.recipients).toEqual([
      { address: 'a', status: 'bounced', code: '5.1.1', reply: 'no such user' },
      { address: 'b', status: 'rejected', code: '550', reply: 'not you' },
      { address: 'c', status: 'accepted' },
      pending('d'),
    ]);
    expect(after.attempts).toEqual([{ at: iso(now), outcome: 'deferred', code: '550', reply: 'not you' }]);
  });

  it('is told by its trouble rather than by one recipient, with a hint, which an earlier one no longer has', () => {
    const before = { ...record(pending('a')), attempts: [{ at: 'x', outcome: 'deferred' as const, hint: 'old' }] };
    const trouble = { scope: 'account', code: '535', reply: 'no', hint: 'Look at the password.' } as const;
    const { attempts } = afterReceipt(before, { recipients: [result('a', 'deferred', '450')], trouble }, now + 5_000);
    expect(attempts).toEqual([
      { at: 'x', outcome: 'deferred' },
      { at: iso(now), outcome: 'deferred', code: '535', reply: 'no', hint: 'Look at the password.' },
    ]);
  });

  it('of which nothing is known but that it was made says no more', () => {
    const { claimedAt: _, firstAttemptAt: __, ...before } = record(pending('a'));
    const after = afterReceipt(before, { recipients: [{ address: 'a', outcome: 'accepted' }] }, now + 5_000);
    expect(after.attempts).toEqual([{ at: iso(now + 5_000), outcome: 'sent' }]);
  });

  it('leaves nothing of its claim, ended or waiting', () => {
    const claimed = {
      ...record(pending('a')),
      committedAt: now,
      queueGaveUp: 1,
      retryAfterAt: now,
      nextAttemptAt: now,
    };
    const ended = afterReceipt(claimed, { recipients: [result('a', 'accepted')] }, now);
    const waiting = afterReceipt(claimed, { recipients: [result('a', 'deferred')] }, now);
    expect([unclaimed(ended), unclaimed(waiting)]).toEqual([[], []]);
    expect('nextAttemptAt' in ended || 'retryAfterAt' in ended || 'retryAfterAt' in waiting).toBe(false);
    expect(waiting).toMatchObject({ status: 'queued', firstAttemptAt: now, nextAttemptAt: now + minute });
  });

  it('counts from the last resend on', () => {
    const at = iso(now);
    const attempts = (['deferred', 'deferred', 'resend', 'deferred'] as const).map((outcome) => ({ at, outcome }));
    const deferred = { recipients: [result('a', 'deferred')] };
    const wait = (count: number) =>
      (afterReceipt({ ...record(pending('a')), attempts: attempts.slice(0, count) }, deferred, now).nextAttemptAt ??
        0) - now;
    expect([0, 1, 2, 3, 4].map(wait)).toEqual([1, 5, 15, 1, 5].map((minutes) => minutes * minute));
  });

  it('is the first one where none was before: the 48 hours begin with it', () => {
    const { firstAttemptAt: _, ...before } = record(pending('a'));
    const trouble = { scope: 'throttled', retryAfterMs: 48 * 60 * minute } as const;
    expect(afterReceipt(before, { recipients: [result('a', 'deferred')], trouble }, now).status).toBe('queued');
    const late = { ...trouble, retryAfterMs: 48 * 60 * minute + 1 };
    expect(afterReceipt(before, { recipients: [result('a', 'deferred')], trouble: late }, now).status).toBe('failed');
  });

  it('at a mail that is sent again leaves the time it was sent at, unless somebody else has it now', () => {
    const before = { ...record({ address: 'a', status: 'accepted' }, pending('b')), sentAt: iso(now - 9 * minute) };
    const sentAt = (outcome: Outcome) => afterReceipt(before, { recipients: [result('b', outcome)] }, now).sentAt;
    expect([sentAt('rejected'), sentAt('accepted')]).toEqual([iso(now - 9 * minute), iso(now)]);
    const nobody = afterReceipt(record(pending('a')), { recipients: [result('a', 'rejected')] }, now);
    expect('sentAt' in nobody).toBe(false);
  });
});

describe('the attempts of a record', () => {
  const attempt = (at: string, outcome: Attempt['outcome'] = 'deferred'): Attempt => ({ at, outcome });
  const many = (count: number) => Array.from({ length: count }, (_, n) => attempt(String(n)));

  it('are sixty at most, the newest', () => {
    expect(withAttempt(many(59), attempt('new')).map(({ at }) => at)).toEqual([...many(59).map(({ at }) => at), 'new']);
    const kept = withAttempt(many(60), attempt('new'));
    expect([kept.length, kept[0]?.at, kept.at(-1)?.at]).toEqual([60, '1', 'new']);
  });

  it('never lose when a resend was asked for last', () => {
    const attempts = [attempt('first', 'resend'), attempt('last', 'resend'), ...many(58)];
    const kept = withAttempt(withAttempt(attempts, attempt('x')), attempt('y'));
    expect([kept.length, kept[0]?.at, kept[1]?.at, kept.at(-1)?.at]).toEqual([60, 'last', '1', 'y']);
    expect(resentAt({ attempts: kept })).toBe('last');
    expect(resentAt({ attempts: many(3) })).toBeUndefined();
  });
});

describe('the end of a message', () => {
  it('has its time and event, and leaves nothing of the claim or the doubt', () => {
    const doubtful = { ...record(pending('a')), committedAt: now, queueGaveUp: 1, inDoubtSince: now };
    const ends = (outcome: Outcome, fields = {}) =>
      afterReceipt({ ...doubtful, ...fields }, { recipients: [result('a', outcome)] }, now);
    const after = ends('accepted');
    expect(after).toMatchObject({ status: 'sent', endedAt: now, sentAt: iso(now), event: 'mailroom.message.sent' });
    expect([unclaimed(after), 'inDoubtSince' in after]).toEqual([[], false]);
    expect('sentAt' in ends('rejected')).toBe(false);
    // A mail that waits for another attempt is still in doubt.
    expect(ends('deferred').inDoubtSince).toBe(now);
  });

  it('by the queue, which gave it up: nobody is tried any more, and who has it has it', () => {
    const { committing: _, ...waiting } = record(pending('b'), { address: 'c', status: 'deferred' });
    const recipients = [{ address: 'a', status: 'accepted' as const }, ...waiting.recipients];
    const after = afterGivenUp({ ...waiting, recipients }, now, 'queueGaveUp');
    expect(after).toMatchObject({ status: 'partiallySent', event: 'mailroom.message.failed', endedAt: now });
    expect(after.recipients.map(({ status, code }) => [status, code])).toEqual([
      ['accepted', undefined],
      ['rejected', 'queueGaveUp'],
      ['rejected', 'queueGaveUp'],
    ]);
    expect(after.attempts).toMatchObject([{ at: iso(now), outcome: 'failed', code: 'queueGaveUp' }]);
    expect(afterGivenUp(waiting, now, 'queueGaveUp').status).toBe('failed');
  });

  it('by a person, before anybody had it, leaves nothing of the claim', () => {
    const after = afterCancel(
      { ...record(pending('a'), { address: 'b', status: 'deferred' }), nextAttemptAt: now },
      now,
    );
    expect(after).toMatchObject({ status: 'canceled', endedAt: now });
    expect([unclaimed(after), 'nextAttemptAt' in after, 'event' in after]).toEqual([[], false, false]);
    expect(after.recipients.map(({ status }) => status)).toEqual(['pending', 'deferred']);
  });

  it('by a person, in doubt of somebody, stays uncertain', () => {
    const before = { ...record({ address: 'a', status: 'uncertain' }, pending('b')), attempts: [] };
    const after = afterCancel(before, now);
    expect(after).toMatchObject({ status: 'uncertain', event: 'mailroom.message.uncertain' });
    expect(after.recipients).toEqual([
      { address: 'a', status: 'uncertain' },
      { address: 'b', status: 'rejected', reply: 'canceled' },
    ]);
    expect('sentAt' in after).toBe(false);
  });

  it('without a receipt is uncertain for those only whom the mail was on its way to', () => {
    const before = record({ address: 'a', status: 'accepted' }, pending('b'), { address: 'c', status: 'deferred' });
    expect(uncertainReceipt(before)).toMatchObject({
      recipients: [
        { address: 'b', outcome: 'uncertain' },
        { address: 'c', outcome: 'uncertain' },
      ],
      trouble: { scope: 'connection', hint: expect.stringContaining('resend') },
    });
  });
});

describe('a message that comes again without an attempt', () => {
  it('is as it was before its claim', () => {
    const claimed = { ...record(pending('a')), committedAt: now, queueGaveUp: 1, firstAttemptAt: now };
    const { firstAttemptAt: _, ...before } = record(pending('a'));
    const after = afterRequeue(claimed, before, now + minute);
    expect(after).toMatchObject({ status: 'queued', nextAttemptAt: now + minute });
    expect([unclaimed(after), 'firstAttemptAt' in after]).toEqual([[], false]);
    expect(afterRequeue(claimed, { ...before, firstAttemptAt: 5 }, now).firstAttemptAt).toBe(5);
  });
});

describe('a message that is to be sent again', () => {
  const uncertain = { at: iso(now - minute), outcome: 'uncertain' } as const;
  const ended = (...statuses: Status[]): MessageRecord => ({
    ...record(...statuses.map(withStatus)),
    status: 'uncertain',
    event: 'mailroom.message.uncertain',
    endedAt: now - minute,
    attempts: [uncertain, { at: iso(now), outcome: 'failed' }],
    retryAfterAt: now,
    remembered: 'the draft',
  });

  it('waits for all who do not have it, without what earlier attempts left', () => {
    const after = afterResend(ended('accepted', 'bounced', 'rejected', 'uncertain'), now + minute);
    expect(after.recipients).toEqual([
      { address: 'r0', status: 'accepted' },
      { address: 'r1', status: 'bounced' },
      { address: 'r2', status: 'pending' },
      { address: 'r3', status: 'pending' },
    ]);
    expect(after.status).toBe('queued');
    expect(after.attempts.at(-1)).toEqual({ at: iso(now + minute), outcome: 'resend' });
    const left = ['firstAttemptAt', 'retryAfterAt', 'endedAt', 'event', 'nextAttemptAt'].filter(
      (name) => name in after,
    );
    expect([left, unclaimed(after)]).toEqual([[], []]);
  });

  it.each<[string, MessageRecord, number | undefined]>([
    ['whom all it was in doubt of', ended('accepted', 'uncertain'), Date.parse(uncertain.at)],
    ['one of whom refused it', ended('rejected', 'uncertain'), undefined],
    ['that left no note', { ...ended('uncertain'), remembered: undefined }, undefined],
    ['whose attempt in doubt is not known any more', { ...ended('uncertain'), attempts: [] }, undefined],
  ])('%s: is looked for first, or not', (_, before, since) => {
    expect(afterResend(before, now).inDoubtSince).toBe(since);
  });
});
