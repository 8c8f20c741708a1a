import { beforeEach, describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { refusalOf } from '../../test/support/refusal-of.ts';
import { deliver } from './delivering/deliver.ts';
import { findInAccounts } from './finding/find-messages.ts';
import { mimePath, recordKey } from './keys.ts';
import { getMessageMime } from './message-mime.ts';
import { cancelMessage, getMessage, retryMessage } from './messages.ts';
import { recordId } from './record.ts';

const minute = 60_000;
const options = { signal: new AbortController().signal };
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

/** A mail whose first attempt has failed for now. */
async function deferred(): Promise<string> {
  const id = await outbox.accept();
  outbox.transport.onSend = async ({ envelope: { to } }) => ({
    recipients: to.map((address) => ({ address, outcome: 'deferred', code: '451' })),
    trouble: { scope: 'message', code: '451' },
  });
  expect(await deliver(outbox.context, id, options)).toBe('waiting');
  outbox.queued();
  return id;
}

describe('a message', () => {
  it.each(['', 'nonsense', 'corpus', 'corpus.', '.x', 'corpus.unknown', 'other.zd0000000000000000000000'])(
    'with the id %j is not there',
    async (id) => {
      for (const call of [getMessage, cancelMessage, retryMessage]) {
        expect(await refusalOf(call(outbox.context, id, options))).toMatchObject({ reason: 'notFound' });
      }
    },
  );

  it('is there by its id', async () => {
    const id = await outbox.accept();
    expect(await getMessage(outbox.context, id, options)).toEqual(await outbox.record(id));
  });
});

describe('a message that is not wanted any more', () => {
  it.each(['queued', 'scheduled'] as const)(
    'is canceled while it is %s, with its event, and is open no more',
    async (status) => {
      const id = await outbox.accept({ status });
      const canceled = await cancelMessage(outbox.context, id, options);
      expect(canceled).toMatchObject({ status: 'canceled', endedAt: outbox.now });
      expect(await outbox.record(id)).toEqual(canceled);
      expect(outbox.isOpen(id)).toBe(canceled.event !== undefined);
      expect(await deliver(outbox.context, id, options)).toBe('ended');
      expect(outbox.transport.sent).toEqual([]);
    },
  );

  it('is told to have failed where some have it already, and is open until then', async () => {
    const recipients = [
      { address: 'anna@example.org', status: 'accepted' as const },
      { address: 'bert@example.org', status: 'deferred' as const },
    ];
    const id = await outbox.accept({ recipients });
    expect((await cancelMessage(outbox.context, id, options)).event).toBe('mailroom.message.failed');
    expect(outbox.isOpen(id)).toBe(true);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.failed']);
    expect(outbox.isOpen(id)).toBe(false);
  });

  it('is found among those that were canceled', async () => {
    const id = await outbox.accept();
    await cancelMessage(outbox.context, id, options);
    const { records } = await findInAccounts(outbox.context, [{ name: accountName }], {
      ...{ ...options, top: 5, status: 'canceled' },
    });
    expect(records.map((record) => recordId(record))).toEqual([id]);
  });

  it('is canceled once, however often that is asked for', async () => {
    const id = await outbox.accept();
    const first = await cancelMessage(outbox.context, id, options);
    outbox.now += minute;
    expect(await cancelMessage(outbox.context, id, options)).toEqual(first);
  });

  it.each(['sending', 'sent', 'partiallySent', 'failed', 'uncertain'] as const)(
    'is not canceled once it is %s',
    async (status) => {
      const id = await outbox.accept({ status });
      const refusal = await refusalOf(cancelMessage(outbox.context, id, options));
      expect([refusal.reason, refusal.message]).toEqual([
        'conflict',
        `The message is ${status} and cannot be canceled.`,
      ]);
      expect((await outbox.record(id)).status).toBe(status);
    },
  );

  it('is not canceled where a process takes it at that moment', async () => {
    const id = await outbox.accept();
    outbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind }) => kind === 'replace')) return;
      outbox.rows.onWrite = () => undefined;
      await outbox.rows.write(accountName, [
        { kind: 'merge', key: recordKey(id.split('.')[1] ?? ''), columns: { status: 'sending' } },
      ]);
    };
    expect(await refusalOf(cancelMessage(outbox.context, id, options))).toMatchObject({
      ...{ reason: 'conflict', message: 'The message is being sent and cannot be canceled.' },
    });
  });

  it('is not said to be sent where storage is away', async () => {
    const id = await outbox.accept();
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(cancelMessage(outbox.context, id, options)).rejects.toThrow('storage is away');
  });
});

describe('a retry', () => {
  it('of one that waits has it tried now', async () => {
    const id = await deferred();
    expect((await outbox.record(id)).nextAttemptAt).toBe(outbox.now + minute);
    const record = await retryMessage(outbox.context, id, options);
    expect(record).toMatchObject({ status: 'queued', nextAttemptAt: outbox.now });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });

  it('of one that is being sent leaves it alone', async () => {
    const id = await outbox.accept({ status: 'sending' });
    expect((await retryMessage(outbox.context, id, options)).status).toBe('sending');
    expect(outbox.queued()).toEqual([]);
  });

  it.each(['scheduled', 'sent', 'partiallySent', 'failed', 'uncertain', 'canceled'] as const)(
    'of one that is %s is refused',
    async (status) => {
      const id = await outbox.accept({ status });
      const refusal = await refusalOf(retryMessage(outbox.context, id, options));
      expect(refusal.reason).toBe('conflict');
      expect(refusal.message).toBe(`The message is ${status}; only one that waits for an attempt can be retried.`);
    },
  );

  it('of an account that cannot send is refused; of one that is gone it comes to its end', async () => {
    const id = await deferred();
    outbox.account({ enabled: false });
    expect(await refusalOf(retryMessage(outbox.context, id, options))).toMatchObject({ reason: 'conflict' });
    outbox.accounts.clear();
    expect((await retryMessage(outbox.context, id, options)).nextAttemptAt).toBe(outbox.now);
  });
});

describe('what a message sends', () => {
  const read = async (id: string, offset = 0, count = 1_000) => {
    const { open } = await getMessageMime(outbox.context, id, { ...options, keptDays: 30 });
    return Buffer.concat(await (await open(offset, count)).toArray()).toString();
  };

  it('is read whole and in part, and is the same whenever it is asked for', async () => {
    const id = await outbox.accept();
    const { size, version } = await getMessageMime(outbox.context, id, { ...options, keptDays: 30 });
    expect([size, version]).toEqual([(await read(id)).length, id]);
    expect(await read(id, 6, 18)).toBe('corpus@example.com');
  });

  it('is not there any more where it was removed, before or while it is asked for', async () => {
    const id = await outbox.accept();
    const local = id.split('.')[1] ?? '';
    const { open } = await getMessageMime(outbox.context, id, { ...options, keptDays: 30 });
    await outbox.blobs.client.deleteBlob(mimePath(accountName, local));
    const gone = await refusalOf(open(0, 10));
    await outbox.rows.write(accountName, [{ kind: 'merge', key: recordKey(local), columns: { mimeRemoved: true } }]);
    const removed = await refusalOf(read(id));
    // Its bytes are still there: they go right after the record says so.
    const other = await outbox.accept({ mimeRemoved: true });
    const going = await refusalOf(getMessageMime(outbox.context, other, { ...options, keptDays: 30 }));
    for (const { reason, message } of [gone, removed, going]) {
      expect(reason).toBe('notFound');
      expect(message).toContain('kept for 30 days (OUTBOX_RETENTION_DAYS)');
    }
  });

  it('is not said to be removed where storage is away', async () => {
    const id = await outbox.accept();
    const { open } = await getMessageMime(outbox.context, id, { ...options, keptDays: 30 });
    outbox.blobs.onRequest = () => {
      throw new Error('storage is away');
    };
    await expect(open(0, 10)).rejects.toThrow('storage is away');
  });
});
