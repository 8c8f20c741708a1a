import { describe, expect, it } from 'vitest';
import type { DayCounts } from '../../stats/day-counts.ts';
import { failureKey } from '../keys.ts';
import type { MessageRecord, MessageStatus, Recipient } from '../record.ts';
import { outcomeRows } from './outcome-rows.ts';

const now = Date.UTC(2026, 5, 1, 12);
const iso = (secondsAgo: number) => new Date(now - secondsAgo * 1_000).toISOString();

/** Takes the place of the counts: the row says what is counted. */
const counting = {
  row: (account: string, fact: object) =>
    ({ kind: 'put', key: account, columns: { fact: JSON.stringify(fact) } }) as const,
};
const context = { dayCounts: counting as unknown as DayCounts };

const recipients = (...statuses: Recipient['status'][]): Recipient[] =>
  statuses.map((status, index) => ({ address: `r${index}`, status }));

function record(status: MessageStatus, fields: Partial<MessageRecord> = {}): MessageRecord {
  return {
    account: 'corpus',
    localId: 'localId',
    status,
    messageId: '<m@example.com>',
    createdAt: iso(90),
    envelope: { from: 'corpus@example.com' },
    headerFrom: 'corpus@example.com',
    bcc: [],
    size: 10,
    recipients: recipients('accepted'),
    attempts: [],
    ...fields,
  };
}

const written = (before: MessageRecord, after: MessageRecord) => outcomeRows(context, { before, after }, now);
function counted(before: MessageRecord, after: MessageRecord): unknown {
  const [row] = written(before, after);
  return row && 'columns' in row ? JSON.parse(String(row.columns.fact)) : undefined;
}

describe('a message that ends', () => {
  it.each<[string, Partial<MessageRecord>, number]>([
    ['its acceptance', {}, 90],
    ['the time it was to leave at', { sendAt: iso(30) }, 30],
    ['its last resend', { sendAt: iso(30), attempts: [{ at: iso(12.5), outcome: 'resend' }] }, 12.5],
  ])('as sent counts the seconds from %s', (_, fields, delaySeconds) => {
    expect(counted(record('sending'), record('sent', fields))).toEqual({ at: now, sent: 1, delaySeconds });
  });

  it('in doubt counts as uncertain', () => {
    expect(counted(record('sending'), record('uncertain'))).toEqual({ at: now, uncertain: 1 });
    expect(written(record('sending'), record('uncertain'))).toHaveLength(1);
  });

  it.each(['failed', 'partiallySent'] as const)('as %s counts as failed, and is found by its failure', (status) => {
    const attempts = [
      { at: iso(60), outcome: 'deferred' as const, code: '450' },
      { at: iso(1), outcome: 'failed' as const, code: '550', reply: 'no', hint: 'Look.' },
    ];
    expect(counted(record('queued'), record(status))).toEqual({ at: now, failed: 1 });
    const columns = { at: now, message: 'localId', code: '550', hint: 'Look.' };
    const key = failureKey(now, 'localId');
    expect(written(record('queued'), record(status, { attempts }))[1]).toEqual({ kind: 'put', key, columns });
    expect(written(record('queued'), record(status))[1]).toMatchObject({ columns: { code: undefined } });
  });

  it.each(['canceled', 'queued', 'sending', 'scheduled'] as const)(
    'as %s, which is no end, counts nothing',
    (status) => {
      expect(written(record('queued'), record(status))).toEqual([]);
    },
  );

  it('counts once', () => {
    for (const status of ['sent', 'failed', 'uncertain'] as const) {
      expect(written(record(status), record(status))).toEqual([]);
    }
  });
});

describe('a message that comes back', () => {
  const back = { recipients: recipients('accepted', 'bounced') };

  it('counts as bounced, at once or later', () => {
    expect(counted(record('sending'), record('sent', back))).toEqual({
      at: now,
      sent: 1,
      delaySeconds: 90,
      bounced: 1,
    });
    expect(counted(record('sent'), record('sent', back))).toEqual({ at: now, bounced: 1 });
    expect(written(record('sent'), record('sent', back))).toHaveLength(1);
  });

  it('counts once, for however many recipients', () => {
    const all = { recipients: recipients('bounced', 'bounced') };
    expect(written(record('sent', back), record('sent', all))).toEqual([]);
  });
});
