import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { RowConflict } from '../../platform/rows.ts';
import { openKey, recordKey } from '../keys.ts';
import { claimMs } from './claim.ts';
import { requeue, requeueUnread } from './requeue.ts';

const pace = 5_000;

async function queuedMail() {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept({ status: 'scheduled' });
  const localId = id.split('.')[1] ?? '';
  const row = (await outbox.rows.get(accountName, recordKey(localId))) ?? expect.fail('no record');
  const again = async () => await requeue(outbox.context, await outbox.record(id), row, outbox.now + pace);
  const unread = () =>
    requeueUnread(outbox.context, { account: accountName, localId }, { paceMs: pace, accepted: 'etag' });
  return { outbox, id, localId, again, unread };
}

function refuseWrites(outbox: MemoryOutbox, error: Error): void {
  outbox.rows.onWrite = () => {
    throw error;
  };
}

describe('a mail that the account’s limits do not allow now', () => {
  it('waits in both of its rows, and is queued for its time', async () => {
    const { outbox, id, localId, again } = await queuedMail();
    expect(await again()).toBe('requeued');
    expect(await outbox.record(id)).toMatchObject({ status: 'queued', nextAttemptAt: outbox.now + pace });
    expect((await outbox.rows.get(accountName, recordKey(localId)))?.columns.waitMs).toBe(pace);
    expect((await outbox.rows.get(accountName, openKey(localId)))?.columns).toEqual({
      checkAt: outbox.now + pace + claimMs,
      waitMs: pace + claimMs,
    });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: pace }]);
  });

  it('is left to whoever has claimed it since; trouble of storage is told', async () => {
    const { outbox, again } = await queuedMail();
    refuseWrites(outbox, new RowConflict('changed'));
    expect(await again()).toBeUndefined();
    refuseWrites(outbox, new Error('storage is away'));
    await expect(again()).rejects.toThrow('storage is away');
    expect(outbox.queued()).toEqual([]);
  });
});

describe('a mail whose account has its share of the workers', () => {
  it('waits in its row of open messages alone, one after the other', async () => {
    const { outbox, id, localId, unread } = await queuedMail();
    expect([await unread(), await unread()]).toEqual(['requeued', 'requeued']);
    expect(outbox.queued()).toEqual([
      { kind: 'mail', id, delayMs: 1_000, accepted: 'etag' },
      { kind: 'mail', id, delayMs: 1_000 + pace, accepted: 'etag' },
    ]);
    expect((await outbox.rows.get(accountName, openKey(localId)))?.columns.checkAt).toBe(
      outbox.now + 1_000 + pace + claimMs,
    );
    expect((await outbox.record(id)).status).toBe('scheduled');
  });

  it('is not queued where nothing is left to do for it; trouble of storage is told', async () => {
    const { outbox, localId, unread } = await queuedMail();
    await outbox.rows.write(accountName, [{ kind: 'delete', key: openKey(localId) }]);
    expect(await unread()).toBe('ended');
    refuseWrites(outbox, new Error('storage is away'));
    await expect(unread()).rejects.toThrow('storage is away');
    expect(outbox.queued()).toEqual([]);
  });
});
