import { text } from 'node:stream/consumers';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { accepted, accountName, MemoryOutbox, mailText } from '../../test/support/memory-outbox.ts';
import { acceptedCopy, readAccepted } from './accepted-copy.ts';
import { deliver, deliverFromQueue } from './delivering/deliver.ts';
import { mimePath, recordKey } from './keys.ts';
import { cancelMessage } from './messages.ts';

const options = { signal: new AbortController().signal };

/** An outbox that notes which rows are read. */
function watched(): { readonly outbox: MemoryOutbox; readonly reads: string[] } {
  const outbox = new MemoryOutbox();
  const reads: string[] = [];
  const get = outbox.rows.get.bind(outbox.rows);
  outbox.rows.get = (partition, key, asked) => {
    reads.push(key);
    return get(partition, key, asked);
  };
  return { outbox, reads };
}

describe('the first delivery of a mail', () => {
  it('reads no record, and leaves what any other leaves', async () => {
    const { outbox, reads } = watched();
    let sent = '';
    outbox.transport.onSend = async (mail, { signal, beforeCommit }) => {
      sent = await text(await mail.open(signal));
      // An attempt may read it twice.
      expect(await text(await mail.open(signal))).toBe(sent);
      expect(await outbox.record(id)).toMatchObject({ status: 'queued' });
      await beforeCommit();
      expect(await outbox.record(id)).toMatchObject({ status: 'sending', committing: true });
      return accepted(mail);
    };
    const id = await outbox.accept({ recipients: [{ address: 'jürgen@example.org', status: 'pending' }] });
    const etag = await outbox.etag(id);
    const before = await outbox.record(id);
    reads.length = 0;
    expect(await deliverFromQueue(outbox.context, id, { ...options, accepted: etag })).toBe('ended');
    // The two are the test's own.
    expect(reads.filter((key) => key.startsWith('m:'))).toHaveLength(2);
    expect(sent).toBe(mailText);
    expect(outbox.transport.sent).toMatchObject([
      { id, size: mailText.length, envelope: { to: ['jürgen@example.org'] }, smtpUtf8: true },
    ]);
    const { messageId, createdAt, envelope, size } = before;
    const attempts = [{ outcome: 'sent' }];
    expect(await outbox.record(id)).toMatchObject({ messageId, createdAt, envelope, size, status: 'sent', attempts });
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.sent']);
    expect(outbox.isOpen(id)).toBe(false);
  });

  it('is none where its sender took it back meanwhile', async () => {
    const { outbox } = watched();
    const id = await outbox.accept();
    const etag = await outbox.etag(id);
    await cancelMessage(outbox.context, id, options);
    outbox.now += 10_000;
    expect(await deliver(outbox.context, id, { ...options, accepted: etag })).toBe('ended');
    expect(outbox.transport.sent).toEqual([]);
    expect((await outbox.record(id)).status).toBe('canceled');
  });

  it('goes by the record where an earlier one has changed it: who has the mail does not get it again', async () => {
    const { outbox } = watched();
    const id = await outbox.accept({ recipients: ['a@x', 'b@x'].map((address) => ({ address, status: 'pending' })) });
    const etag = await outbox.etag(id);
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: address === 'a@x' ? 'accepted' : 'deferred' })),
      trouble: { scope: 'message' },
    });
    expect(await deliver(outbox.context, id, { ...options, accepted: etag })).toBe('waiting');
    outbox.now += 10_000;
    expect(await deliver(outbox.context, id, { ...options, accepted: etag })).toBe('waiting');
    outbox.now += 50_000;
    expect(await deliver(outbox.context, id, { ...options, accepted: etag })).toBe('waiting');
    expect(outbox.transport.sent.map(({ envelope: { to } }) => to)).toEqual([['a@x', 'b@x'], ['b@x']]);
  });

  it('happens once where its queue message comes twice', async () => {
    const { outbox } = watched();
    const id = await outbox.accept();
    const asked = { ...options, accepted: await outbox.etag(id) };
    let left = 0;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      await beforeCommit();
      left += 1;
      return accepted(mail);
    };
    const both = await Promise.all([deliver(outbox.context, id, asked), deliver(outbox.context, id, asked)]);
    expect(both).toContain('ended');
    expect(left).toBe(1);
    expect((await outbox.record(id)).attempts).toMatchObject([{ outcome: 'sent' }]);
  });

  it('reads the record where the blob of the text has none', async () => {
    const { outbox, reads } = watched();
    const recipients = Array.from({ length: 200 }, (_, n) => ({
      address: `reader-${n}@example.org`,
      status: 'pending' as const,
    }));
    const id = await outbox.accept({ recipients });
    expect(acceptedCopy(await outbox.record(id))).toBeUndefined();
    const etag = await outbox.etag(id);
    reads.length = 0;
    expect(await deliver(outbox.context, id, { ...options, accepted: etag })).toBe('ended');
    expect(reads).toContain(recordKey(id.slice(accountName.length + 1)));
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('that has to wait for a worker is the first one still', async () => {
    const { outbox } = watched();
    const id = await outbox.accept();
    const etag = await outbox.etag(id);
    const { acquire } = outbox.workers;
    outbox.workers.acquire = async () => ({ retryAfterMs: 100 });
    expect(await deliverFromQueue(outbox.context, id, { ...options, accepted: etag })).toBe('requeued');
    outbox.workers.acquire = acquire;
    expect(outbox.queued()).toMatchObject([{ id, accepted: etag }]);
  });
});

describe('a mail as it was accepted', () => {
  async function accept() {
    const outbox = new MemoryOutbox();
    const record = await outbox.record(await outbox.accept());
    const read = (asked = options) => readAccepted(outbox.context, record, 'its etag', asked);
    return { outbox, record, read };
  }

  it('has its text, and the record with which that was written', async () => {
    const { record, read } = await accept();
    expect(await read()).toMatchObject({ record, row: { etag: 'its etag' }, text: Buffer.from(mailText) });
  });

  it('is not there any more where its text was removed', async () => {
    const { outbox, record, read } = await accept();
    outbox.blobs.remove(mimePath(record.account, record.localId));
    expect(await read()).toBeUndefined();
  });

  it('is not said to be removed where storage is away', async () => {
    const { outbox, read } = await accept();
    outbox.blobs.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(read()).rejects.toThrow('storage is away');
  });

  it('is not read for a caller who has gone', async () => {
    const { read } = await accept();
    await expect(read({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });
});
