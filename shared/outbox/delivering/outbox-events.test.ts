import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { recordKey } from '../keys.ts';
import type { MessageRecord, Recipient } from '../record.ts';
import { publishEvent } from './outbox-events.ts';

const at = (minutes: number) => new Date(Date.UTC(2026, 4, 31, 12, minutes)).toISOString();
const recipients = (...statuses: Recipient['status'][]): Recipient[] =>
  statuses.map((status, index) => ({ address: `r${index}@x`, status }));

/** Publishes what a record owes; answers its events, and what stands in its rows. */
async function published(
  fields: Partial<MessageRecord>,
  meanwhile?: (outbox: MemoryOutbox, key: string) => Promise<void>,
) {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept(fields);
  const key = recordKey(id.split('.')[1] ?? '');
  const row = (await outbox.rows.get(accountName, key)) ?? expect.fail('no record');
  const record = await outbox.record(id);
  await meanwhile?.(outbox, key);
  await publishEvent(outbox.context, record, row.etag);
  return { id, events: outbox.events, isOpen: outbox.isOpen(id), owes: (await outbox.record(id)).event };
}

describe('the event of a message', () => {
  it('says how it ended for whom, and closes its books', async () => {
    const { id, events, isOpen, owes } = await published({
      status: 'uncertain',
      event: 'mailroom.message.uncertain',
      recipients: recipients('accepted', 'bounced', 'rejected', 'uncertain', 'uncertain', 'uncertain'),
      bounces: [{ asset: 'a', recipients: 1 }],
      attempts: [
        { at: at(1), outcome: 'deferred' },
        { at: at(5), outcome: 'uncertain' },
      ],
    });
    const recipientCounts = { accepted: 2, rejected: 1, uncertain: 3 };
    expect(events).toEqual([
      {
        type: 'mailroom.message.uncertain',
        account: accountName,
        subject: id,
        time: Date.parse(at(5)),
        data: { status: 'uncertain', messageId: '<m@example.com>', recipients: recipientCounts },
      },
    ]);
    expect([isOpen, owes ?? '']).toEqual([false, '']);
  });

  it('has the time of the acceptance where nothing was tried', async () => {
    const { events } = await published({ status: 'failed', event: 'mailroom.message.failed', createdAt: at(3) });
    expect(events).toMatchObject([{ type: 'mailroom.message.failed', time: Date.parse(at(3)) }]);
  });

  it('of a mail that is sent again is another one', async () => {
    const attempts = [
      { at: at(1), outcome: 'failed' as const },
      { at: at(2), outcome: 'resend' as const },
      { at: at(3), outcome: 'sent' as const },
    ];
    const { events } = await published({ status: 'sent', event: 'mailroom.message.sent', attempts });
    expect(events).toMatchObject([{ occasion: at(2), data: { resentAt: at(2) }, time: Date.parse(at(3)) }]);
  });

  it.each([
    [[], [], undefined],
    [[{ at: at(2), outcome: 'resend' as const }], [], undefined],
    [
      [],
      [
        { asset: 'a', recipients: 1 },
        { asset: 'b', recipients: 1 },
      ],
      1,
    ],
  ])('is followed by that of a bounce which came at once: attempts %j, bounces %j', async (attempts, bounces, left) => {
    const status = { status: 'sent', event: 'mailroom.message.sent' } as const;
    const { events, id } = await published({
      ...status,
      attempts,
      bounces,
      recipients: recipients('bounced', 'bounced', 'bounced'),
    });
    const resent = attempts[0]?.at;
    expect(events.map(({ type }) => type)).toEqual(['mailroom.message.sent', 'mailroom.message.bounced']);
    expect(events[1]).toMatchObject({
      subject: id,
      occasion: resent === undefined ? 'delivery' : `delivery:${resent}`,
      data: { status: 'sent', messageId: '<m@example.com>', recipients: { bounced: left ?? 3 } },
    });
  });

  it('is none while it is open', async () => {
    const { events, isOpen } = await published({ status: 'queued', event: 'mailroom.message.sent' });
    expect([events, isOpen]).toEqual([[], true]);
  });

  it.each([undefined, '', 'mailroom.message.unknown'])(
    'is none where it owes %j: its books are closed',
    async (event) => {
      const { events, isOpen } = await published({ status: 'canceled', ...(event === undefined ? {} : { event }) });
      expect([events, isOpen]).toEqual([[], false]);
    },
  );

  it('leaves a record alone that was taken up again since', async () => {
    const { isOpen, owes } = await published(
      { status: 'failed', event: 'mailroom.message.failed' },
      async (outbox, key) => {
        await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'queued' } }]);
      },
    );
    expect([isOpen, owes]).toEqual([true, 'mailroom.message.failed']);
  });

  it('is owed on where storage is away', async () => {
    const away = published({ status: 'failed', event: 'mailroom.message.failed' }, async (outbox) => {
      outbox.rows.onWrite = () => {
        throw new Error('storage is away');
      };
    });
    await expect(away).rejects.toThrow('storage is away');
  });
});
