import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import type { Columns, Row } from '../platform/rows.ts';
import { recordKey } from './keys.ts';
import { type MessageRecord, messageStatuses, messageView, readableRecord, recordOf, remainsOf } from './record.ts';

const createdAt = '2026-06-01T00:00:00.000Z';

/** A record as one looks that was accepted a moment ago, changed so. */
async function recordWith(fields: Partial<MessageRecord>): Promise<MessageRecord> {
  const outbox = new MemoryOutbox();
  return await outbox.record(await outbox.accept(fields));
}

describe('what callers see of a record', () => {
  it('has no field for what it has not', async () => {
    const record = await recordWith({});
    expect(messageView(record)).toEqual({
      id: `${accountName}.${record.localId}`,
      account: accountName,
      status: 'queued',
      messageId: '<m@example.com>',
      createdAt,
      recipients: [{ address: 'anna@example.org', status: 'pending' }],
      attempts: [],
    });
  });

  it('has all that it has, but neither hints nor what is the service’s own', async () => {
    const attempt = { at: createdAt, outcome: 'partiallySent' as const, code: '550', reply: '550 nobody' };
    const seen = {
      status: 'partiallySent' as const,
      createdAt,
      sendAt: '2026-06-01T01:00:00.000Z',
      sentAt: '2026-06-01T01:00:01.000Z',
      metadata: { invoice: '4711' },
      recipients: [
        { address: 'anna@example.org', status: 'accepted' as const, code: '250', reply: '250 ok' },
        { address: 'bert@example.org', status: 'rejected' as const, code: '550', reply: '550 nobody' },
      ],
      sentCopy: 'saved' as const,
    };
    const record = await recordWith({
      ...seen,
      attempts: [{ ...attempt, hint: 'Look at the address.' }],
      bcc: ['bert@example.org'],
      traceId: '0123456789abcdef0123456789abcdef',
      remembered: 'a note',
    });
    expect(messageView(record)).toEqual({
      ...seen,
      id: `${accountName}.${record.localId}`,
      account: accountName,
      messageId: '<m@example.com>',
      attempts: [attempt],
    });
  });

  it.each(messageStatuses)('says when it is tried next where it waits, and only there: %s', async (status) => {
    const nextAttemptAt = Date.parse('2026-06-01T00:05:00.000Z');
    const view = messageView(await recordWith({ status, nextAttemptAt }));
    expect([status, view.nextAttemptAt]).toEqual([
      status,
      ['queued', 'scheduled'].includes(status) ? '2026-06-01T00:05:00.000Z' : undefined,
    ]);
  });
});

describe('a row that is no record', () => {
  /** The row of a record, with these columns changed. */
  async function rowWith(columns: Columns): Promise<{ readonly row: Row; readonly record: MessageRecord }> {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ sentAt: createdAt, metadata: { invoice: '4711' } });
    const record = await outbox.record(id);
    const key = recordKey(record.localId);
    await outbox.rows.write(accountName, [{ kind: 'merge', key, columns }]);
    return { row: (await outbox.rows.get(accountName, key)) ?? expect.fail('no row'), record };
  }

  it.each<[string, Columns]>([
    ['a status of a newer version', { status: 'secret' }],
    ['a document that is cut off', { json0: '{"messageId":"secret' }],
    ['a document of another form', { json0: '{"messageId":"secret"}' }],
  ])('is told, without a word of what it holds: %s', async (_, columns) => {
    const { row } = await rowWith(columns);
    expect(readableRecord(accountName, row)).toBeUndefined();
    expect(() => recordOf(accountName, row)).toThrow(/^The record of the message cannot be read$/);
  });

  it('leaves its document, where its columns are of a newer version', async () => {
    const { row, record } = await rowWith({ status: 'of a newer version', committing: true });
    expect(remainsOf(accountName, row)).toEqual({ ...record, status: 'sending', committing: true });
  });

  it('leaves when it was accepted, and no word of a mail, where its document cannot be read; it is not sent any more', async () => {
    const { row, record } = await rowWith({ json0: '{"messageId":"<m@example.com>' });
    expect(remainsOf(accountName, row)).toEqual({
      account: accountName,
      localId: record.localId,
      status: 'sending',
      createdAt,
      messageId: '',
      envelope: { from: '' },
      headerFrom: '',
      bcc: [],
      size: 0,
      recipients: [],
      attempts: [],
      mimeRemoved: true,
    });
  });
});
