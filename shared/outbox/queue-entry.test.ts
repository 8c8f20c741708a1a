import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { accepted, accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { deliver } from './delivering/deliver.ts';
import { requestRelease } from './delivering/release.ts';
import { runQueueEntry } from './queue-entry.ts';

const minute = 60_000;
const options = { signal: new AbortController().signal };

let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

const run = (entry: unknown, again = false) => runQueueEntry(outbox.context, entry, { again });

describe('an entry of mail-send', () => {
  it('that names a mail has it delivered, once', async () => {
    const id = await outbox.accept();
    await run({ id });
    await run({ id }, true);
    expect(outbox.transport.sent).toHaveLength(1);
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('that asks for a copy has the copy made, and the mail is not sent again', async () => {
    outbox.account({ saveToSent: true });
    const id = await outbox.accept();
    await run({ id });
    expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 0 }]);
    await run({ id, copy: true });
    expect([outbox.transport.sent.length, outbox.sentCopies.sent.length]).toEqual([1, 1]);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', sentCopy: 'saved' });
  });

  it('that names a mail whose copy waits does not make the copy', async () => {
    outbox.account({ saveToSent: true });
    const id = await outbox.accept();
    await run({ id });
    await run({ id, copy: false }, true);
    expect([outbox.transport.sent.length, outbox.sentCopies.sent.length]).toEqual([1, 0]);
  });

  it('that asks for a release has the mail tried now that waits', async () => {
    const id = await outbox.accept();
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'connection', code: 'ECONNREFUSED' },
    });
    await deliver(outbox.context, id, options);
    outbox.now += 1;
    await requestRelease(outbox.context, accountName, 'asked');
    outbox.queued();
    expect((await outbox.record(id)).nextAttemptAt).toBe(outbox.now - 1 + minute);
    await run({ release: accountName });
    expect((await outbox.record(id)).nextAttemptAt).toBe(outbox.now);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });

  it('is put back as it was where the process is to end', async () => {
    const id = await outbox.accept();
    const etag = await outbox.etag(id);
    await outbox.shutdown.announce(0);
    await run({ id, accepted: etag });
    expect(outbox.transport.sent).toEqual([]);
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0, accepted: etag }]);
  });

  it.each([
    ['for the first time: the claim is written with the commit point', false, undefined],
    ['again: the mail is claimed before its server is asked', true, 'sending'],
  ])('is handed out %s', async (_, again, claimed) => {
    const id = await outbox.accept();
    const entry = { id, accepted: await outbox.etag(id) };
    let before: string | undefined;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      const { status, leaseOwner } = await outbox.record(id);
      before = leaseOwner && status;
      await beforeCommit();
      return accepted(mail);
    };
    await run(entry, again);
    expect(before).toBe(claimed);
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it.each([[{}], [{ id: 7 }], [{ release: 7 }], ['text'], [undefined]])(
    'of another form is refused: %j',
    async (entry) => {
      await expect(run(entry)).rejects.toBeInstanceOf(z.ZodError);
      expect([outbox.transport.sent, outbox.queued()]).toEqual([[], []]);
    },
  );
});
