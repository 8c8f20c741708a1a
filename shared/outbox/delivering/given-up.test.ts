import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { openKey, recordKey } from '../keys.ts';
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

  it('and whose record cannot be read is kept as it is', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await outbox.rows.write(accountName, [
      { kind: 'merge', key: recordKey(localId(id)), columns: { status: 'of a newer version' } },
    ]);
    expect((await handleGivenUpMail(outbox.context, id, options)).result).toBe('unreadable');
    expect(outbox.rows.keys(accountName)).toContain(openKey(localId(id)));
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
