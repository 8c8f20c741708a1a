import { describe, expect, it, vi } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { FrozenMail, Receipt, RecipientOutcome, Trouble } from '../../adapters/transport.ts';
import { deliver } from '../delivering/deliver.ts';
import { copyKey } from '../keys.ts';
import { saveSentCopy, saveSentCopyFromQueue } from './sent-copy.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };

/** An outbox with a mail that was sent a moment ago, and whose copy is still to be made. */
async function withCopy(): Promise<{ readonly outbox: MemoryOutbox; readonly id: string; readonly key: string }> {
  const outbox = new MemoryOutbox();
  outbox.account({ saveToSent: true });
  const id = await outbox.accept();
  await deliver(outbox.context, id, options);
  expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 0 }]);
  return { outbox, id, key: copyKey(id.split('.')[1] ?? '') };
}

const all = ({ envelope }: FrozenMail, outcome: RecipientOutcome, trouble: Trouble): Receipt => ({
  recipients: envelope.to.map((address) => ({ address, outcome })),
  trouble,
});

const dueIn = async (outbox: MemoryOutbox, key: string) =>
  Number((await outbox.rows.get(accountName, key))?.columns.dueAt) - outbox.now;

describe('a copy for Sent', () => {
  it('is appended once, for the sender alone, and the record says so', async () => {
    const { outbox, id, key } = await withCopy();
    await saveSentCopy(outbox.context, id, options);
    await saveSentCopy(outbox.context, id, options);
    expect(outbox.sentCopies.sent.map(({ envelope: { to } }) => to)).toEqual([['corpus@example.com']]);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', sentCopy: 'saved' });
    expect(await outbox.rows.get(accountName, key)).toBeUndefined();
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.sent']);
  });

  it('that two make at the same time is appended by one of them', async () => {
    const { outbox, id } = await withCopy();
    await Promise.all([saveSentCopy(outbox.context, id, options), saveSentCopy(outbox.context, id, options)]);
    expect(outbox.sentCopies.sent).toHaveLength(1);
  });

  it('that is put off is tried again as mail is, for 48 hours, and then given up', async () => {
    const { outbox, id, key } = await withCopy();
    outbox.sentCopies.onSend = async (mail) => all(mail, 'deferred', { scope: 'connection' });
    const waits: number[] = [];
    const began = outbox.now;
    while ((await outbox.record(id)).sentCopy === 'pending') {
      await saveSentCopy(outbox.context, id, options);
      const wait = await dueIn(outbox, key);
      if (Number.isNaN(wait)) break;
      waits.push(wait / minute);
      expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: wait }]);
      // One that comes too early changes nothing.
      await saveSentCopy(outbox.context, id, options);
      outbox.now += wait;
    }
    expect(waits.slice(0, 5)).toEqual([1, 5, 15, 60, 60]);
    expect(outbox.sentCopies.sent).toHaveLength(waits.length + 1);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', sentCopy: 'failed' });
    expect(outbox.now - began).toBeLessThanOrEqual(48 * hour);
  });

  it('for which no connection is free comes again soon, which is no attempt', async () => {
    const { outbox, id, key } = await withCopy();
    outbox.sentCopies.onSend = async (mail) => all(mail, 'deferred', { scope: 'limit', retryAfterMs: 4_000 });
    await saveSentCopy(outbox.context, id, options);
    expect(await dueIn(outbox, key)).toBe(4_000);
    expect((await outbox.rows.get(accountName, key))?.columns).toMatchObject({ attempts: 0 });
    expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 4_000 }]);
  });

  it('whose account has its share of the workers comes again unread', async () => {
    const { outbox, id } = await withCopy();
    const workers = await Promise.all(Array.from({ length: 8 }, () => outbox.workers.acquire(accountName)));
    await saveSentCopyFromQueue(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toEqual([]);
    const [again] = outbox.queued();
    expect(again).toMatchObject({ kind: 'copy', id });
    for (const worker of workers) if ('release' in worker) worker.release();
    outbox.now += again?.delayMs ?? 0;
    await saveSentCopyFromQueue(outbox.context, id, options);
    expect((await outbox.record(id)).sentCopy).toBe('saved');
  });

  it.each(['present', 'absent', 'unknown'] as const)(
    'whose answer was lost is looked for, and never made twice (%s)',
    async (found) => {
      const { outbox, id } = await withCopy();
      outbox.sentCopies.onSend = async (mail, { beforeCommit }) => {
        await beforeCommit();
        return all(mail, 'uncertain', { scope: 'connection' });
      };
      const asked: number[] = [];
      outbox.sentCopies.resolveUncertain = async (mail, { sinceCommitMs }) => {
        asked.push(sinceCommitMs);
        if (found === 'unknown' || asked.length < 3) return undefined;
        return found === 'present' ? accepted(mail) : all(mail, 'deferred', { scope: 'connection' });
      };
      for (let look = 0; look < 20 && (await outbox.record(id)).sentCopy === 'pending'; look += 1) {
        await saveSentCopy(outbox.context, id, options);
        outbox.now += outbox.queued().at(-1)?.delayMs ?? 0;
        if (found === 'absent' && asked.length === 3) outbox.sentCopies.onSend = async (mail) => accepted(mail);
      }
      const ended = { present: 'saved', absent: 'saved', unknown: 'uncertain' }[found];
      expect((await outbox.record(id)).sentCopy).toBe(ended);
      expect(outbox.sentCopies.sent).toHaveLength(found === 'absent' ? 2 : 1);
      expect(asked.at(-1)).toBe(found === 'unknown' ? 15 * minute : 3 * minute);
    },
  );

  it('is given up where the account is gone, and waits where it is disabled', async () => {
    const { outbox, id, key } = await withCopy();
    outbox.account({ saveToSent: true, enabled: false });
    await saveSentCopy(outbox.context, id, options);
    expect(await dueIn(outbox, key)).toBe(minute);
    outbox.now += minute;
    outbox.accounts.clear();
    await saveSentCopy(outbox.context, id, options);
    expect(await outbox.record(id)).toMatchObject({ status: 'sent', sentCopy: 'failed' });
    expect(outbox.sentCopies.sent).toEqual([]);
  });

  it('is given back before its commit point when the process is to end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { outbox, id, key } = await withCopy();
      outbox.sentCopies.onSend = async (mail, { signal }) => {
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true });
          void outbox.shutdown.announce(10_000);
        });
        return all(mail, 'deferred', { scope: 'connection', code: 'ABORTED' });
      };
      const saving = saveSentCopy(outbox.context, id, options);
      await vi.advanceTimersByTimeAsync(10_000);
      await saving;
      expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 0 }]);
      expect((await outbox.rows.get(accountName, key))?.columns).toMatchObject({ attempts: 0, dueAt: outbox.now });
      expect((await outbox.rows.get(accountName, key))?.columns.leaseOwner).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });
});
