import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { FrozenMail, MailTransport, Receipt, RecipientOutcome, Trouble } from '../../adapters/transport.ts';
import { inLogScope } from '../../platform/log.ts';
import { claimMs } from '../delivering/claim.ts';
import { deliver } from '../delivering/deliver.ts';
import { copyKey, recordKey, recordPrefix } from '../keys.ts';
import { earlyMs } from '../timing.ts';
import { saveSentCopy, saveSentCopyFromQueue } from './sent-copy.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };

/** An outbox with a mail that was sent a moment ago, and whose copy is still to be made; keys of the copy and its record. */
async function withCopy() {
  const outbox = new MemoryOutbox();
  outbox.account({ saveToSent: true });
  const id = await outbox.accept();
  await deliver(outbox.context, id, options);
  expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 0 }]);
  const [, localId = ''] = id.split('.');
  return { outbox, id, key: copyKey(localId), record: recordKey(localId) };
}

const all = ({ envelope }: FrozenMail, outcome: RecipientOutcome, trouble: Trouble): Receipt => ({
  recipients: envelope.to.map((address) => ({ address, outcome })),
  trouble,
});

/** The process is told to end, and goes on when the work has been told to stop. */
const untilCut = (outbox: MemoryOutbox, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    void outbox.shutdown.announce(10_000);
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
    const { outbox, id, key } = await withCopy();
    const workers = await Promise.all(Array.from({ length: 8 }, () => outbox.workers.acquire(accountName)));
    await saveSentCopyFromQueue(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toEqual([]);
    expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 1_000 }]);
    // The recovery timer leaves it to its queue message.
    expect((await outbox.rows.get(accountName, key))?.columns).toMatchObject({ checkAt: outbox.now + 1_000 + minute });
    for (const worker of workers) if ('release' in worker) worker.release();
    outbox.now += 1_000;
    await saveSentCopyFromQueue(outbox.context, id, options);
    expect((await outbox.record(id)).sentCopy).toBe('saved');
  });

  it('that others have made meanwhile does not come again where the workers are taken', async () => {
    const { outbox, id } = await withCopy();
    await saveSentCopy(outbox.context, id, options);
    outbox.workers.acquire = async () => ({ retryAfterMs: 100 });
    await saveSentCopyFromQueue(outbox.context, id, options);
    expect(outbox.queued()).toEqual([]);
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(saveSentCopyFromQueue(outbox.context, id, options)).rejects.toThrow('storage is away');
  });

  it('comes no more than a moment early', async () => {
    const { outbox, id, key } = await withCopy();
    outbox.sentCopies.onSend = async (mail) => all(mail, 'deferred', { scope: 'connection' });
    await saveSentCopy(outbox.context, id, options);
    outbox.now += (await dueIn(outbox, key)) - earlyMs - 1;
    await saveSentCopy(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toHaveLength(1);
    outbox.now += 1;
    await saveSentCopy(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toHaveLength(2);
  });

  it.each([
    ['present', 'saved', 3 * minute],
    ['absent', 'saved', 3 * minute],
    ['unknown', 'uncertain', 15 * minute],
    ['not to be asked', 'uncertain', undefined],
  ] as const)('whose answer was lost is looked for, and never made twice (%s)', async (found, ended, askedLast) => {
    const { outbox, id } = await withCopy();
    outbox.sentCopies.onSend = async (mail, { beforeCommit, remember }) => {
      await remember('where it stands');
      await beforeCommit();
      return all(mail, 'uncertain', { scope: 'connection' });
    };
    const asked: number[] = [];
    const resolveUncertain: MailTransport['resolveUncertain'] = async (mail, { sinceCommitMs, remembered }) => {
      expect(remembered).toBe('where it stands');
      asked.push(sinceCommitMs);
      if (found === 'unknown' || asked.length < 3) return undefined;
      return found === 'present' ? accepted(mail) : all(mail, 'deferred', { scope: 'connection' });
    };
    if (found !== 'not to be asked') outbox.sentCopies.resolveUncertain = resolveUncertain;
    for (let look = 0; look < 20 && (await outbox.record(id)).sentCopy === 'pending'; look += 1) {
      await saveSentCopy(outbox.context, id, options);
      outbox.now += outbox.queued().at(-1)?.delayMs ?? 0;
      if (found === 'absent' && asked.length === 3) outbox.sentCopies.onSend = async (mail) => accepted(mail);
    }
    expect((await outbox.record(id)).sentCopy).toBe(ended);
    expect(outbox.sentCopies.sent).toHaveLength(found === 'absent' ? 2 : 1);
    expect(asked.at(-1)).toBe(askedLast);
  });

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

  it('whose message is gone is not made, and nothing of it is left', async () => {
    const { outbox, id, key, record } = await withCopy();
    await outbox.rows.write(accountName, [{ kind: 'delete', key: record }]);
    await saveSentCopy(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toEqual([]);
    expect(await outbox.rows.get(accountName, key)).toBeUndefined();
  });

  it('whose record is in somebody’s hands is told of later, and not made again', async () => {
    const { outbox, id, key, record } = await withCopy();
    const columns = { leaseOwner: 'another', leaseUntil: outbox.now + claimMs };
    await outbox.rows.write(accountName, [{ kind: 'merge', key: record, columns }]);
    await saveSentCopy(outbox.context, id, options);
    expect([await dueIn(outbox, key), (await outbox.record(id)).sentCopy]).toEqual([minute, 'pending']);
    outbox.now += claimMs;
    await saveSentCopy(outbox.context, id, options);
    expect([outbox.sentCopies.sent.length, (await outbox.record(id)).sentCopy]).toEqual([1, 'saved']);
  });

  it('whose record somebody writes at this moment is told of later, and not made again', async () => {
    const { outbox, id, key, record } = await withCopy();
    outbox.rows.onWrite = async (_, writes) => {
      if (!writes.some(({ kind }) => kind === 'delete')) return;
      outbox.rows.onWrite = () => undefined;
      await outbox.rows.write(accountName, [{ kind: 'merge', key: record, columns: { status: 'partiallySent' } }]);
    };
    await saveSentCopy(outbox.context, id, options);
    outbox.now += await dueIn(outbox, key);
    await saveSentCopy(outbox.context, id, options);
    expect(outbox.sentCopies.sent).toHaveLength(1);
    expect(await outbox.record(id)).toMatchObject({ status: 'partiallySent', sentCopy: 'saved' });
  });

  it('that was made while storage went away is looked for, and not made again', async () => {
    const { outbox, id } = await withCopy();
    outbox.sentCopies.resolveUncertain = async (mail) => accepted(mail);
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some(({ kind }) => kind === 'delete')) throw new Error('storage is away');
    };
    await expect(saveSentCopy(outbox.context, id, options)).rejects.toThrow('storage is away');
    outbox.rows.onWrite = () => undefined;
    outbox.now += minute;
    await saveSentCopy(outbox.context, id, options);
    expect([outbox.sentCopies.sent.length, (await outbox.record(id)).sentCopy]).toEqual([1, 'saved']);
  });

  it('that another process has taken over is left to it', async () => {
    const { outbox, id, key } = await withCopy();
    const columns = { leaseOwner: 'another', leaseUntil: outbox.now + minute };
    outbox.sentCopies.onSend = async (mail, { beforeCommit }) => {
      await outbox.rows.write(accountName, [{ kind: 'merge', key, columns }]);
      await beforeCommit();
      return accepted(mail);
    };
    await saveSentCopy(outbox.context, id, options);
    expect((await outbox.rows.get(accountName, key))?.columns).toMatchObject(columns);
    expect((await outbox.record(id)).sentCopy).toBe('pending');
  });

  it.each<[string, (outbox: MemoryOutbox) => void, object]>([
    ['saved', () => undefined, { event: 'outbox.copySaved', attempts: 1 }],
    [
      'put off',
      ({ sentCopies }) => {
        sentCopies.onSend = async (mail) => all(mail, 'deferred', { scope: 'connection', code: 'ECONNRESET' });
      },
      { event: 'outbox.copyWaits', attempts: 1, code: 'ECONNRESET', scope: 'connection' },
    ],
    [
      'refused',
      ({ sentCopies }) => {
        sentCopies.onSend = async (mail) => all(mail, 'rejected', { scope: 'message', code: 'OVERQUOTA' });
      },
      { event: 'outbox.copyGivenUp', outcome: 'failed', code: 'OVERQUOTA' },
    ],
    [
      'of a disabled account',
      (outbox) => outbox.account({ saveToSent: true, enabled: false }),
      { event: 'outbox.copyWaits', code: 'accountDisabled', scope: 'account' },
    ],
    [
      'of an account without a mailbox',
      ({ context }) => Object.assign(context, { sentCopies: async () => undefined }),
      { event: 'outbox.copyGivenUp', code: 'noStore' },
    ],
    [
      'of a message that is gone',
      ({ rows }) => {
        const get = rows.get.bind(rows);
        rows.get = async (partition, key, given) =>
          key.startsWith(recordPrefix) ? undefined : await get(partition, key, given);
      },
      { event: 'outbox.copyGivenUp', code: 'messageDeleted' },
    ],
    [
      'of a deleted account',
      ({ accounts }) => accounts.clear(),
      { event: 'outbox.copyGivenUp', code: 'accountDeleted' },
    ],
  ])('%s is told to the operator, and why', async (_, arrange, told) => {
    const { outbox, id } = await withCopy();
    arrange(outbox);
    const lines: unknown[] = [];
    const sink = (__: string, line: string) => lines.push(JSON.parse(line));
    await inLogScope({ sink }, () => saveSentCopy(outbox.context, id, options));
    expect(lines).toEqual([expect.objectContaining({ account: accountName, message: id, ...told })]);
  });
});

describe('a copy for Sent whose process', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  it('fails is made by another a minute later, which knows what was noted of it', async () => {
    const { outbox, id, key } = await withCopy();
    outbox.sentCopies.onSend = async (_, { remember }) => {
      await remember('where it stands');
      throw new Error('a bug');
    };
    await expect(saveSentCopy(outbox.context, id, options)).rejects.toThrow('a bug');
    const { columns } = (await outbox.rows.get(accountName, key)) ?? {};
    expect(columns).toMatchObject({ checkAt: outbox.now + minute, waitMs: minute });
    const noted: (string | undefined)[] = [];
    outbox.sentCopies.onSend = async (mail, { beforeCommit, remembered }) => {
      noted.push(remembered);
      await beforeCommit();
      return accepted(mail);
    };
    for (let second = 0; second < 60; second += 1) {
      await saveSentCopy(outbox.context, id, options);
      expect(noted).toEqual([]);
      outbox.now += 1_000;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    await saveSentCopy(outbox.context, id, options);
    expect([noted, (await outbox.record(id)).sentCopy]).toEqual([['where it stands'], 'saved']);
  });

  it('is to end is left to another process, unread', async () => {
    const { outbox, id } = await withCopy();
    await outbox.shutdown.announce(0);
    await saveSentCopy(outbox.context, id, options);
    expect([outbox.sentCopies.sent, outbox.queued()]).toEqual([[], [{ kind: 'copy', id, delayMs: 0 }]]);
  });

  it.each(['answers that it was cut', 'goes on to its commit point'])(
    'is to end before its commit point is given back (the transport %s)',
    async (how) => {
      const { outbox, id, key } = await withCopy();
      outbox.sentCopies.onSend = async (mail, { signal, beforeCommit }) => {
        await untilCut(outbox, signal);
        if (how === 'goes on to its commit point') {
          await beforeCommit();
          return accepted(mail);
        }
        return all(mail, 'deferred', { scope: 'connection', code: 'ABORTED' });
      };
      const saving = saveSentCopy(outbox.context, id, options);
      await vi.advanceTimersByTimeAsync(10_000);
      await saving;
      expect(outbox.queued()).toEqual([{ kind: 'copy', id, delayMs: 0 }]);
      const { columns = {} } = (await outbox.rows.get(accountName, key)) ?? {};
      expect(columns).toMatchObject({ attempts: 0, dueAt: outbox.now });
      for (const name of ['leaseOwner', 'committedAt']) expect(columns).not.toHaveProperty(name);
    },
  );

  it.each(['accepted', 'rejected'] as const)(
    'is to end has ended where the server has said so (%s)',
    async (outcome) => {
      const { outbox, id } = await withCopy();
      outbox.sentCopies.onSend = async (mail, { signal }) => {
        await untilCut(outbox, signal);
        return all(mail, outcome, { scope: 'message' });
      };
      const saving = saveSentCopy(outbox.context, id, options);
      await vi.advanceTimersByTimeAsync(10_000);
      await saving;
      expect((await outbox.record(id)).sentCopy).toBe(outcome === 'accepted' ? 'saved' : 'failed');
    },
  );

  it('is to end waits for the answer behind its commit point', async () => {
    const { outbox, id } = await withCopy();
    const answer = Promise.withResolvers<void>();
    let cut = false;
    outbox.sentCopies.onSend = async (mail, { signal, beforeCommit }) => {
      await beforeCommit();
      void outbox.shutdown.announce(10_000);
      await answer.promise;
      cut = signal.aborted;
      return accepted(mail);
    };
    const saving = saveSentCopy(outbox.context, id, options);
    await vi.advanceTimersByTimeAsync(9_000);
    answer.resolve();
    await saving;
    expect([cut, (await outbox.record(id)).sentCopy]).toEqual([false, 'saved']);
  });

  it('has made it has nothing left to wait for', async () => {
    const { outbox, id } = await withCopy();
    await saveSentCopy(outbox.context, id, options);
    await outbox.shutdown.announce(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
