import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import type { Columns } from '../../platform/rows.ts';
import { recordKey, unreadPath } from '../keys.ts';
import { handleGivenUpEntry } from '../queue-entry.ts';
import { resendMessage } from '../resend.ts';
import { claimMs } from './claim.ts';
import { deliver } from './deliver.ts';
import { handleGivenUpMail } from './given-up.ts';

const hour = 3_600_000;
const options = { signal: new AbortController().signal };
const localId = (id: string) => id.split('.')[1] ?? '';
const givenUp = (entry: unknown) => ({ id: 'message', at: 0, entry });

describe('a mail whose queue message was given up', () => {
  it('is queued once more; given up again, it has failed, with its reason and an event', async () => {
    const outbox = new MemoryOutbox();
    const metadata = { invoice: '4711' };
    const id = await outbox.accept({
      metadata,
      recipients: [
        { address: 'a@x', status: 'accepted' },
        { address: 'b@x', status: 'deferred', code: '450' },
      ],
    });
    const about = { account: accountName, message: id };
    expect(await handleGivenUpMail(outbox.context, id, options)).toEqual({ result: 'repeated', ...about });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
    expect((await outbox.record(id)).status).toBe('queued');
    expect(await handleGivenUpMail(outbox.context, id, options)).toEqual({ result: 'failed', ...about });
    expect(await outbox.record(id)).toMatchObject({
      status: 'partiallySent',
      recipients: [{ status: 'accepted' }, { status: 'rejected', code: 'queueGaveUp' }],
      attempts: [{ outcome: 'failed', code: 'queueGaveUp', reply: expect.stringContaining('outbox.deliverFailed') }],
    });
    expect(outbox.events).toMatchObject([{ type: 'mailroom.message.failed', subject: id, data: { metadata } }]);
    expect(outbox.isOpen(id)).toBe(false);
    expect(outbox.queued()).toEqual([]);
    // What had failed for the service's own reasons can be sent again.
    await resendMessage(outbox.context, id, options);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('that had an attempt in between counts anew', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await handleGivenUpMail(outbox.context, id, options);
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'message' },
    });
    await deliver(outbox.context, id, options);
    outbox.now = (await outbox.record(id)).nextAttemptAt ?? 0;
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('repeated');
  });

  it('is left alone where it has ended, waits, is being sent, or its process ended in an attempt', async () => {
    const outbox = new MemoryOutbox();
    const { now } = outbox;
    const ids = [
      await outbox.accept({ status: 'scheduled', nextAttemptAt: now + hour }),
      await outbox.accept({
        nextAttemptAt: now + hour,
        attempts: [{ at: new Date(now).toISOString(), outcome: 'deferred' }],
      }),
      await outbox.accept({ status: 'sending', leaseOwner: 'other', leaseUntil: now + claimMs, claimedAt: now }),
      await outbox.accept({ status: 'sending', leaseOwner: 'gone', leaseUntil: now - 1, claimedAt: now - claimMs }),
      await outbox.accept({ status: 'canceled' }),
    ];
    for (const id of ids) {
      const before = await outbox.record(id);
      expect(await handleGivenUpMail(outbox.context, id, options)).toMatchObject({ result: 'left' });
      expect({ ...(await outbox.record(id)), event: undefined }).toEqual({ ...before, event: undefined });
    }
    expect(outbox.queued()).toEqual([]);
    expect(outbox.events).toEqual([]);
  });

  it('and whose event was what could not be published: it is now', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ status: 'failed', event: 'mailroom.message.failed' });
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('left');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.failed']);
    expect(outbox.isOpen(id)).toBe(false);
  });

  it('is left to whoever takes it up at that moment', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await handleGivenUpMail(outbox.context, id, options);
    let taken = false;
    outbox.rows.onWrite = async (_, writes) => {
      if (taken || !writes.some(({ kind }) => kind === 'replace')) return;
      taken = true;
      await deliver(outbox.context, id, options);
    };
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('left');
    expect((await outbox.record(id)).status).toBe('sent');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.sent']);
  });
});

describe('where something is away, a mail whose queue message was given up', () => {
  it('comes again: what it is about stays as it is', async () => {
    const outbox = new MemoryOutbox();
    const readable = await outbox.accept();
    const unreadable = await outbox.accept();
    await outbox.rows.write(accountName, [
      { kind: 'merge', key: recordKey(localId(unreadable)), columns: { status: 'of a newer version' } },
    ]);
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    for (const id of [readable, unreadable]) {
      await expect(handleGivenUpMail(outbox.context, id, options)).rejects.toThrow('storage is away');
    }
  });

  it('has failed all the same, and its event is owed until it can be published', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await handleGivenUpMail(outbox.context, id, options);
    const publish = () => Promise.reject(new Error('the queue is away'));
    const context = { ...outbox.context, events: { publish } };
    expect((await handleGivenUpMail(context, id, options)).result).toBe('failed');
    expect(await outbox.record(id)).toMatchObject({ status: 'failed', event: 'mailroom.message.failed' });
    expect(outbox.isOpen(id)).toBe(true);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.failed']);
    expect(outbox.isOpen(id)).toBe(false);
  });
});

describe('a mail whose record cannot be read, and whose queue message was given up', () => {
  const merge = (outbox: MemoryOutbox, id: string, columns: Columns) =>
    outbox.rows.write(accountName, [{ kind: 'merge', key: recordKey(localId(id)), columns }]);
  const newer = { status: 'of a newer version' };
  const recipients = [
    { address: 'a@x', status: 'accepted' as const },
    { address: 'b@x', status: 'deferred' as const, code: '450' },
  ];
  const reason = { code: 'recordUnreadable', reply: expect.stringContaining('cannot be read') };

  it('is kept as it is for 48 hours: a version that can read it may come', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ recipients });
    await merge(outbox, id, newer);
    for (const wait of [0, hour, 46 * hour]) {
      outbox.now += wait;
      const handled = { result: 'unreadable', account: accountName, message: id };
      expect(await handleGivenUpMail(outbox.context, id, options)).toEqual(handled);
    }
    expect(outbox.isOpen(id)).toBe(true);
    expect(outbox.events).toEqual([]);
    await merge(outbox, id, { status: 'queued' });
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('has then failed, with its reason and an event; what it held is kept, and a resend sends it', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ recipients, metadata: { invoice: '4711' } });
    await merge(outbox, id, newer);
    await handleGivenUpMail(outbox.context, id, options);
    outbox.now += 48 * hour;
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('failed');
    expect(await outbox.record(id)).toMatchObject({
      status: 'partiallySent',
      recipients: [recipients[0], { address: 'b@x', status: 'rejected', ...reason }],
      attempts: [{ outcome: 'failed', ...reason }],
    });
    expect(outbox.events).toMatchObject([
      {
        type: 'mailroom.message.failed',
        subject: id,
        data: { status: 'partiallySent', metadata: { invoice: '4711' } },
      },
    ]);
    expect(outbox.isOpen(id)).toBe(false);
    expect(outbox.blobs.text(unreadPath(accountName, localId(id)))).toContain('of a newer version');
    await resendMessage(outbox.context, id, options);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.transport.sent.map(({ envelope: { to } }) => to)).toEqual([['b@x']]);
  });

  it('is uncertain where its last bytes may have left', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ recipients });
    await merge(outbox, id, { ...newer, committing: true });
    await handleGivenUpMail(outbox.context, id, options);
    outbox.now += 48 * hour;
    await handleGivenUpMail(outbox.context, id, options);
    expect(await outbox.record(id)).toMatchObject({
      status: 'uncertain',
      recipients: [recipients[0], { address: 'b@x', status: 'uncertain', ...reason }],
    });
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.uncertain']);
  });

  it('is uncertain, and not to be sent again, where not even its recipients can be read', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ recipients });
    await outbox.rows.write(accountName, [
      { kind: 'put', key: recordKey(localId(id)), columns: { status: 'queued', json0: '{"recip' } },
    ]);
    await handleGivenUpMail(outbox.context, id, options);
    outbox.now += 48 * hour;
    await handleGivenUpMail(outbox.context, id, options);
    expect(await outbox.record(id)).toMatchObject({ status: 'uncertain', recipients: [], attempts: [reason] });
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.uncertain']);
    expect((await refusalOf(resendMessage(outbox.context, id, options))).reason).toBe('gone');
    expect(outbox.blobs.text(unreadPath(accountName, localId(id)))).toContain('recip');
  });

  it.each([
    [
      'somebody delivers',
      { ...newer, leaseOwner: 'other', leaseUntil: Date.UTC(2026, 5, 3) + claimMs, claimedAt: Date.UTC(2026, 5, 3) },
    ],
    ['has ended', { status: 'sent', json0: '{' }],
  ])('is left alone where it is one that %s', async (_, columns) => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await merge(outbox, id, { ...columns, unreadableSince: outbox.now });
    outbox.now += 48 * hour;
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('unreadable');
    expect((await outbox.rows.get(accountName, recordKey(localId(id))))?.columns.status).toBe(columns.status);
  });

  it('is left to whoever writes to it at that moment', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await merge(outbox, id, newer);
    outbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind }) => kind === 'merge')) return;
      outbox.rows.onWrite = () => undefined;
      await merge(outbox, id, { status: 'queued' });
    };
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('left');
    expect((await outbox.record(id)).status).toBe('queued');
  });
});

describe('an entry of mail-send that was given up', () => {
  it.each([
    [{ release: 'corpus' }, { result: 'repeated', account: 'corpus' }],
    [
      { id: 'corpus.0123456789abcdef01234', copy: true },
      { result: 'repeated', account: 'corpus', message: 'corpus.0123456789abcdef01234' },
    ],
    [{ id: 'a word in private', copy: true }, { result: 'unknown' }],
    [{ release: 'a word in private' }, { result: 'unknown' }],
    [{ id: 'corpus.0123456789abcdef01234' }, { result: 'unknown' }],
    [{ id: '../../x' }, { result: 'unknown' }],
    [{ id: 7 }, { result: 'unknown' }],
    [undefined, { result: 'unknown' }],
  ])('%j', async (entry, expected) => {
    const outbox = new MemoryOutbox();
    expect(await handleGivenUpEntry(outbox.context, givenUp(entry), options)).toEqual(expected);
  });
});
