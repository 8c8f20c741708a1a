import { describe, expect, it, vi } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { FrozenMail, Receipt, RecipientOutcome, Trouble } from '../../adapters/transport.ts';
import { openKey, recordKey, releasePartition } from '../keys.ts';
import { claimMs } from './claim.ts';
import { deliver, deliverFromQueue } from './deliver.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };
const outcomes = ({ attempts }: { readonly attempts: readonly { readonly outcome: string }[] }) =>
  attempts.map(({ outcome }) => outcome);

/** The same for every recipient. */
function all(mail: FrozenMail, outcome: RecipientOutcome, trouble: Trouble): Receipt {
  return { recipients: mail.envelope.to.map((address) => ({ address, outcome, code: trouble.code ?? '' })), trouble };
}

const away: Trouble = { scope: 'connection', code: 'ECONNREFUSED' };

/** Makes a delivery whose process is gone after `commits` (or before) and whose claim has lapsed. */
async function interrupted(outbox: MemoryOutbox, id: string, commits: boolean): Promise<void> {
  outbox.transport.onSend = async (_, { beforeCommit }) => {
    if (commits) await beforeCommit();
    // As where a process ends: nothing is written any more.
    outbox.rows.onWrite = () => {
      throw new Error('gone');
    };
    throw new Error('gone');
  };
  await expect(deliver(outbox.context, id, options)).rejects.toThrow('gone');
  outbox.rows.onWrite = () => undefined;
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    await beforeCommit();
    return accepted(mail);
  };
  outbox.now += 2 * claimMs;
}

describe('a message', () => {
  it('is sent once, and its record and one event say so', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.transport.sent).toHaveLength(1);
    expect(await outbox.record(id)).toMatchObject({
      status: 'sent',
      recipients: [{ status: 'accepted', code: '250' }],
    });
    expect(outbox.events.map(({ type, subject }) => [type, subject])).toEqual([['mailroom.message.sent', id]]);
    expect(outbox.isOpen(id)).toBe(false);
    expect(outbox.queued()).toEqual([]);
  });

  it('that two take up at the same time is sent by one of them', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const both = await Promise.all([deliver(outbox.context, id, options), deliver(outbox.context, id, options)]);
    expect([...both].sort()).toEqual(['claimed', 'ended']);
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('that nobody knows is left alone', async () => {
    const outbox = new MemoryOutbox();
    expect(await deliver(outbox.context, 'corpus.0123456789abcdef01234', options)).toBe('unknown');
    expect(await deliver(outbox.context, 'no id', options)).toBe('unknown');
  });

  it('with a time of its own is not sent before it, and comes back then', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + hour });
    expect(await deliver(outbox.context, id, options)).toBe('waiting');
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: hour }]);
    expect(outbox.transport.sent).toEqual([]);
    outbox.now += hour;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
  });

  it('whose account is gone fails, and one whose account is disabled waits', async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ enabled: false });
    const waiting = await outbox.accept();
    expect(await deliver(outbox.context, waiting, options)).toBe('waiting');
    expect(await outbox.record(waiting)).toMatchObject({ status: 'queued', attempts: [{ code: 'accountDisabled' }] });
    outbox.accounts.clear();
    const failing = await outbox.accept();
    expect(await deliver(outbox.context, failing, options)).toBe('ended');
    expect(await outbox.record(failing)).toMatchObject({ status: 'failed', attempts: [{ code: 'accountDeleted' }] });
    expect(outbox.transport.sent).toEqual([]);
  });

  it('owes a copy for Sent as soon as somebody has it, and only once', async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ saveToSent: true });
    const id = await outbox.accept({ recipients: ['a@x', 'b@x'].map((address) => ({ address, status: 'pending' })) });
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: address === 'a@x' ? 'accepted' : 'deferred' })),
      trouble: { scope: 'message' },
    });
    expect(await deliver(outbox.context, id, options)).toBe('waiting');
    expect((await outbox.record(id)).sentCopy).toBe('pending');
    expect(outbox.queued().filter(({ kind }) => kind === 'copy')).toHaveLength(1);
    outbox.now += minute;
    outbox.transport.onSend = async (mail) => accepted(mail);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.queued()).toEqual([]);
  });
});

describe('a message that was not accepted by all', () => {
  it('goes again to those only who wait, after 1, 5, 15, 60 and then 60 minutes', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({
      recipients: ['a@x', 'b@x', 'c@x'].map((address) => ({ address, status: 'pending' })),
    });
    const outcomeOf: Record<string, RecipientOutcome> = { 'a@x': 'accepted', 'b@x': 'rejected', 'c@x': 'deferred' };
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: outcomeOf[address] ?? 'uncertain' })),
      trouble: { scope: 'message' },
    });
    const waits: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      expect(await deliver(outbox.context, id, options)).toBe('waiting');
      const { nextAttemptAt = 0 } = await outbox.record(id);
      waits.push((nextAttemptAt - outbox.now) / minute);
      expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: nextAttemptAt - outbox.now }]);
      // A message of the queue that comes early changes nothing.
      expect(await deliver(outbox.context, id, options)).toBe('waiting');
      outbox.queued();
      outbox.now = nextAttemptAt;
    }
    expect(waits).toEqual([1, 5, 15, 60, 60, 60]);
    const [first, ...later] = outbox.transport.sent.map(({ envelope: { to } }) => to);
    expect(first).toEqual(['a@x', 'b@x', 'c@x']);
    expect(later).toEqual(later.map(() => ['c@x']));
    outcomeOf['c@x'] = 'accepted';
    await deliver(outbox.context, id, options);
    expect((await outbox.record(id)).status).toBe('partiallySent');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.failed']);
  });

  it('waits as long as the server asks, and is given up after 48 hours', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async (mail) => all(mail, 'deferred', { ...away, retryAfterMs: 3 * hour });
    const began = outbox.now;
    while ((await outbox.record(id)).status === 'queued') {
      await deliver(outbox.context, id, options);
      outbox.now = (await outbox.record(id)).nextAttemptAt ?? outbox.now;
    }
    expect(await outbox.record(id)).toMatchObject({ status: 'failed', recipients: [{ status: 'rejected' }] });
    expect(outbox.now - began).toBe(48 * hour);
    expect(outbox.transport.sent).toHaveLength(17);
  });
});

describe('a delivery whose process is gone', () => {
  it('before the commit point: the mail is sent by the next one, and both attempts are distinguished', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await interrupted(outbox, id, false);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outcomes(await outbox.record(id))).toEqual(['interrupted', 'sent']);
    expect(outbox.transport.sent).toHaveLength(2);
  });

  it('while its claim holds: nobody else takes the mail', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await interrupted(outbox, id, false);
    outbox.now -= 2 * claimMs;
    expect(await deliver(outbox.context, id, options)).toBe('claimed');
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('again and again: the mail is given up after 48 hours, and its attempts stay bounded', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const began = outbox.now;
    while (outbox.now - began <= 48 * hour) {
      expect((await outbox.record(id)).status).not.toBe('failed');
      await interrupted(outbox, id, false);
      outbox.now += 20 * minute;
    }
    const sent = outbox.transport.sent.length;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    const { status, attempts } = await outbox.record(id);
    expect(status).toBe('failed');
    expect(attempts.length).toBe(60);
    expect(attempts.at(-1)).toMatchObject({ outcome: 'failed', code: 'interrupted' });
    expect(outbox.transport.sent).toHaveLength(sent);
  });

  it.each([
    { what: 'twice in a row', between: 0, gone: 2, after: 48 * hour },
    { what: 'three times, with another end in between', between: 1, gone: 2, after: 48 * hour },
    { what: 'three times in a row, within 48 hours', between: 0, gone: 3, after: 47 * hour },
  ])('$what: the mail is tried again all the same', async ({ between, gone, after }) => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const began = outbox.now;
    if (between > 0) {
      await interrupted(outbox, id, false);
      outbox.transport.onSend = async (mail) => all(mail, 'deferred', away);
      expect(await deliver(outbox.context, id, options)).toBe('waiting');
      outbox.now += hour;
    }
    for (let n = 0; n < gone; n += 1) await interrupted(outbox, id, false);
    outbox.now = began + after + minute;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('after the commit point, where nothing can find out: the mail is uncertain and never sent again', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await interrupted(outbox, id, true);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(await outbox.record(id)).toMatchObject({ status: 'uncertain', recipients: [{ status: 'uncertain' }] });
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.uncertain']);
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it.each(['accepted', 'deferred', 'uncertain'] as const)(
    'after the commit point: asked every minute until the transport finds out (%s), for 15 minutes',
    async (found) => {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      await interrupted(outbox, id, true);
      const asked: number[] = [];
      outbox.transport.resolveUncertain = async (mail, { sinceCommitMs }) => {
        asked.push(sinceCommitMs);
        return asked.length < 3 || found === 'uncertain' ? undefined : all(mail, found, away);
      };
      for (let look = 0; look < 20 && (await outbox.record(id)).status === 'sending'; look += 1) {
        await deliver(outbox.context, id, options);
        outbox.now = (await outbox.record(id)).nextAttemptAt ?? outbox.now;
      }
      expect(asked[0]).toBe(2 * claimMs);
      const status = { accepted: 'sent', deferred: 'queued', uncertain: 'uncertain' }[found];
      expect(await outbox.record(id)).toMatchObject({ status });
      expect(asked.at(-1)).toBe(found === 'uncertain' ? 15 * minute : 2 * claimMs + 2 * minute);
      expect(outbox.transport.sent).toHaveLength(1);
    },
  );

  it('after its last write: the event is published by the next one', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const { publish } = outbox.context.events;
    outbox.context.events.publish = async () => {
      throw new Error('no queue');
    };
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.isOpen(id)).toBe(true);
    outbox.context.events.publish = publish;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.sent']);
    expect(outbox.isOpen(id)).toBe(false);
    expect(outbox.transport.sent).toHaveLength(1);
  });
});

describe('a delivery that stood still for longer than its claim', () => {
  it('before the commit point: it may not send any more, and writes nothing', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const { onSend } = outbox.transport;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      outbox.now += 2 * claimMs;
      outbox.transport.onSend = onSend;
      expect(await deliver(outbox.context, id, options)).toBe('ended');
      await beforeCommit();
      return accepted(mail);
    };
    await expect(deliver(outbox.context, id, options)).resolves.toBe('claimed');
    expect(outcomes(await outbox.record(id))).toEqual(['interrupted', 'sent']);
    expect(outbox.events).toHaveLength(1);
  });

  it('after the commit point: what the other one wrote stays', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      await beforeCommit();
      outbox.now += 2 * claimMs;
      expect(await deliver(outbox.context, id, options)).toBe('ended');
      return accepted(mail);
    };
    expect(await deliver(outbox.context, id, options)).toBe('claimed');
    expect((await outbox.record(id)).status).toBe('uncertain');
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.uncertain']);
  });
});

describe('what is no attempt', () => {
  it('a limit of mails in a minute that is used up: the mail comes again', async () => {
    const outbox = new MemoryOutbox();
    outbox.rate = { paceMs: 2_000, acquire: async () => ({ retryAfterMs: 20_000 }) };
    const ids = [await outbox.accept(), await outbox.accept()];
    for (const id of ids) expect(await deliver(outbox.context, id, options)).toBe('requeued');
    expect(outbox.queued().map(({ delayMs }) => delayMs)).toEqual([20_000, 22_000]);
    expect(await outbox.record(ids[0] ?? '')).toMatchObject({ status: 'queued', attempts: [] });
    expect((await outbox.record(ids[0] ?? '')).firstAttemptAt).toBeUndefined();
    // The recovery timer leaves it alone until then.
    const open = await outbox.rows.get(accountName, openKey(ids[0]?.split('.')[1] ?? ''));
    expect(open?.columns.checkAt).toBe(outbox.now + 20_000 + claimMs);
    expect(outbox.transport.sent).toEqual([]);
  });

  it('a right to send that has lapsed by the commit point: nothing leaves', async () => {
    const outbox = new MemoryOutbox();
    outbox.rate = { paceMs: 2_000, acquire: async () => ({ use: () => false, release: () => undefined }) };
    const id = await outbox.accept();
    let committed = false;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      try {
        await beforeCommit();
        committed = true;
      } catch {
        return all(mail, 'deferred', { scope: 'message', code: 'COMMIT_REFUSED' });
      }
      return accepted(mail);
    };
    expect(await deliver(outbox.context, id, options)).toBe('requeued');
    expect(committed).toBe(false);
    const record = await outbox.record(id);
    expect(record).toMatchObject({ status: 'queued', attempts: [] });
    expect(record.committing).toBeUndefined();
  });

  it('the right to send is used once, however many transactions a mail leaves in, and given back where it is not used', async () => {
    const outbox = new MemoryOutbox();
    const calls: string[] = [];
    const token = { use: () => calls.push('use') > 0, release: () => void calls.push('release') };
    outbox.rate = { paceMs: 2_000, acquire: async () => token };
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      await beforeCommit();
      await beforeCommit();
      return accepted(mail);
    };
    await deliver(outbox.context, await outbox.accept(), options);
    expect(calls).toEqual(['use', 'release']);
  });

  it('no connection that is free: the mail comes again, as if it had never been claimed', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async (mail) =>
      all(mail, 'deferred', { scope: 'limit', code: 'BUSY', retryAfterMs: 5_000 });
    expect(await deliver(outbox.context, id, options)).toBe('requeued');
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 5_000 }]);
    const record = await outbox.record(id);
    expect(record).toMatchObject({ status: 'queued', attempts: [] });
    expect([record.leaseOwner, record.firstAttemptAt]).toEqual([undefined, undefined]);
    expect(outbox.events).toEqual([]);
  });

  it('a share of the workers that is used up: the mail comes again unread', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    const taken = await Promise.all(Array.from({ length: 8 }, () => outbox.workers.acquire(accountName)));
    expect(taken.every((worker) => 'release' in worker)).toBe(true);
    expect(await deliverFromQueue(outbox.context, id, options)).toBe('requeued');
    expect(outbox.queued()).toMatchObject([{ kind: 'mail', id }]);
    expect(outbox.transport.sent).toEqual([]);
    outbox.account({ name: 'another' });
    const other = await outbox.accept({ account: 'another' });
    expect(await deliverFromQueue(outbox.context, other, options)).toBe('ended');
  });
});

describe('a process that is about to end', () => {
  it('begins no delivery', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await outbox.shutdown.announce(0);
    expect(await deliverFromQueue(outbox.context, id, options)).toBe('requeued');
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
    expect(outbox.transport.sent).toEqual([]);
  });

  it('gives a mail back before its commit point after a while, which is no attempt', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      outbox.transport.onSend = async (_, { signal }) => {
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          void outbox.shutdown.announce(10_000);
        });
        return expect.fail('went on');
      };
      const delivery = deliver(outbox.context, id, options);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await delivery).toBe('requeued');
      expect(await outbox.record(id)).toMatchObject({ status: 'queued', attempts: [] });
      expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
      expect(outbox.events).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('waits for the answer to a mail behind its commit point', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      outbox.transport.onSend = async (mail, { beforeCommit, signal }) => {
        await beforeCommit();
        void outbox.shutdown.announce(10_000);
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        signal.throwIfAborted();
        return accepted(mail);
      };
      const delivery = deliver(outbox.context, id, options);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await delivery).toBe('ended');
      expect((await outbox.record(id)).status).toBe('sent');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('the health of an account', () => {
  const failing = ({ events }: MemoryOutbox) => events.filter(({ type }) => type === 'mailroom.account.failing').length;

  it('is the account’s own trouble at once, and the network’s after three attempts in a row', async () => {
    for (const [scope, attempts] of [
      ['account', 1],
      ['connection', 3],
    ] as const) {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      outbox.transport.onSend = async (mail) => all(mail, 'deferred', { scope, code: 'X' });
      for (let attempt = 1; attempt <= 4; attempt += 1) {
        await deliver(outbox.context, id, options);
        expect(failing(outbox)).toBe(attempt < attempts ? 0 : 1);
        outbox.now = (await outbox.record(id)).nextAttemptAt ?? 0;
      }
    }
  });

  it('says nothing of trouble with one mail, and works again by the first that is accepted: the others are released', async () => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async (mail) => all(mail, 'rejected', { scope: 'message', code: '550' });
    await deliver(outbox.context, await outbox.accept(), options);
    expect(failing(outbox)).toBe(0);
    outbox.transport.onSend = async (mail) => all(mail, 'deferred', { scope: 'account', code: '535' });
    await deliver(outbox.context, await outbox.accept(), options);
    expect(failing(outbox)).toBe(1);
    outbox.queued();
    outbox.transport.onSend = async (mail) => accepted(mail);
    await deliver(outbox.context, await outbox.accept(), options);
    expect(outbox.events.map(({ type }) => type)).toContain('mailroom.account.recovered');
    expect(outbox.queued()).toContainEqual({ kind: 'release', id: accountName, delayMs: 0 });
  });

  it.each([
    ['four mails refused for policy', 4, 0],
    ['five mails refused for policy', 5, 1],
  ])('%s', async (_, count, events) => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'rejected', code: '550', reply: '5.7.1 not from you' })),
      trouble: { scope: 'message', code: '550', reply: '5.7.1 not from you' },
    });
    for (let n = 0; n < count; n += 1) {
      const id = await outbox.accept();
      await deliver(outbox.context, id, options);
      expect((await outbox.record(id)).status).toBe('failed');
      outbox.now += 1_000;
    }
    expect(failing(outbox)).toBe(events);
  });
});

describe('storage that fails', () => {
  it('when the outcome is written: the claim lapses, and the mail is not sent again behind its commit point', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.rows.onWrite = (_, writes) => {
      const [first] = writes;
      if (first?.kind === 'replace' && first.key.startsWith(recordKey(''))) throw new Error('storage is away');
    };
    await expect(deliver(outbox.context, id, options)).rejects.toThrow('storage is away');
    outbox.rows.onWrite = () => undefined;
    expect(await deliver(outbox.context, id, options)).toBe('claimed');
    outbox.now += 2 * claimMs;
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('uncertain');
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('when the commit point is written: nothing leaves', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    let left = false;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      try {
        await beforeCommit();
      } catch {
        return all(mail, 'deferred', { scope: 'message', code: 'COMMIT_REFUSED' });
      }
      left = true;
      return accepted(mail);
    };
    outbox.rows.onWrite = (_, writes) => {
      if (writes.some((write) => write.kind === 'merge' && write.columns.committing === true)) throw new Error('away');
    };
    expect(await deliver(outbox.context, id, options)).toBe('waiting');
    expect(left).toBe(false);
    expect(await outbox.record(id)).toMatchObject({ status: 'queued', attempts: [{ code: 'COMMIT_REFUSED' }] });
  });
});

describe('a queue message that comes before its time', () => {
  it.each([
    ['queued', 2_000, 'ended', []],
    ['queued', 2_001, 'waiting', [2_001]],
    ['queued', 59_999, 'waiting', [59_999]],
    // Another message of the queue stands for it.
    ['queued', 60_000, 'waiting', []],
    ['scheduled', 60_000, 'waiting', [60_000]],
  ] as const)('of a mail that is %s for in %d ms: %s, queued again for %j', async (status, ms, delivered, delays) => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ status, nextAttemptAt: outbox.now + ms });
    expect(await deliver(outbox.context, id, options)).toBe(delivered);
    expect(outbox.queued().map(({ delayMs }) => delayMs)).toEqual(delays);
  });

  it('of a mail in doubt does not ask about it', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    await interrupted(outbox, id, true);
    let asked = 0;
    outbox.transport.resolveUncertain = async () => {
      asked += 1;
      return undefined;
    };
    await deliver(outbox.context, id, options);
    expect(await deliver(outbox.context, id, options)).toBe('waiting');
    expect(asked).toBe(1);
    outbox.now += minute;
    await deliver(outbox.context, id, options);
    expect(asked).toBe(2);
  });

  it('of a mail whose claim has lapsed takes it up, whatever time stands in it', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept({ nextAttemptAt: outbox.now });
    await interrupted(outbox, id, false);
    const key = recordKey(id.split('.')[1] ?? '');
    await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { nextAttemptAt: outbox.now + minute } }]);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
  });
});

describe('the right to send', () => {
  it('is asked for where a mail can leave, and not for one that may have left', async () => {
    const outbox = new MemoryOutbox();
    let asked = 0;
    const token = { use: () => true, release: () => undefined };
    outbox.rate = {
      paceMs: 1,
      acquire: async () => {
        asked += 1;
        return token;
      },
    };
    const inDoubt = await outbox.accept();
    await interrupted(outbox, inDoubt, true);
    expect(asked).toBe(1);
    await deliver(outbox.context, inDoubt, options);
    const account = outbox.accounts.get(accountName) ?? expect.fail('no account');
    const { transport: _, ...withoutTransport } = account;
    for (const unable of [{ ...account, enabled: false }, withoutTransport]) {
      outbox.accounts.set(accountName, unable);
      await deliver(outbox.context, await outbox.accept(), options);
    }
    expect(asked).toBe(1);
    outbox.accounts.set(accountName, account);
    await deliver(outbox.context, await outbox.accept(), options);
    expect(asked).toBe(2);
  });
});

describe('what an attempt says of its account', () => {
  const failing = ({ events }: MemoryOutbox) => events.filter(({ type }) => type === 'mailroom.account.failing');
  const deferred = (mail: FrozenMail) => all(mail, 'deferred', away);

  it.each([
    ['three that reached nobody, the last of four', ['interrupted', 'deferred', 'deferred'], 1],
    ['two that reached nobody', ['deferred'], 0],
    ['three, one of them interrupted', ['interrupted', 'deferred'], 0],
    ['three, one of them answered by the server', ['partiallySent', 'deferred'], 0],
  ] as const)('%s', async (_, outcomes, events) => {
    const outbox = new MemoryOutbox();
    const attempts = outcomes.map((outcome) => ({ at: new Date(outbox.now).toISOString(), outcome }));
    outbox.transport.onSend = async (mail) => deferred(mail);
    await deliver(outbox.context, await outbox.accept({ attempts }), options);
    expect(failing(outbox)).toHaveLength(events);
  });

  it('one recipient that is accepted shows that it works', async () => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async (mail) => all(mail, 'deferred', { scope: 'account', code: '535' });
    await deliver(outbox.context, await outbox.accept(), options);
    outbox.transport.onSend = async () => ({
      recipients: [
        { address: 'a@x', outcome: 'rejected', code: '550' },
        { address: 'b@x', outcome: 'accepted' },
      ],
    });
    const recipients = ['a@x', 'b@x'].map((address) => ({ address, status: 'pending' as const }));
    await deliver(outbox.context, await outbox.accept({ recipients }), options);
    expect(outbox.events.map(({ type }) => type)).toContain('mailroom.account.recovered');
  });

  it.each<[string, Trouble, RecipientOutcome, boolean]>([
    ['a refused recipient', { scope: 'message', code: '550', reply: '5.1.1 no such user' }, 'rejected', true],
    ['a recipient that is put off', { scope: 'message', code: '450', reply: '4.2.0 greylisted' }, 'deferred', true],
    ['a mail that was refused before the server was asked', { scope: 'message', code: 'SIZE' }, 'rejected', false],
    [
      'a server that asks to slow down',
      { scope: 'throttled', code: '432', reply: '4.3.2 slow down' },
      'deferred',
      false,
    ],
    ['a connection that was lost', { scope: 'connection', code: 'ECONNRESET' }, 'deferred', false],
  ])('%s, after a refused sign-in', async (_, trouble, outcome, works) => {
    const outbox = new MemoryOutbox();
    outbox.transport.onSend = async (mail) => all(mail, 'deferred', { scope: 'account', code: '535' });
    await deliver(outbox.context, await outbox.accept(), options);
    outbox.queued();
    outbox.transport.onSend = async (mail) => all(mail, outcome, trouble);
    await deliver(outbox.context, await outbox.accept(), options);
    expect(outbox.events.some(({ type }) => type === 'mailroom.account.recovered')).toBe(works);
    expect(outbox.queued().some(({ kind }) => kind === 'release')).toBe(works);
  });

  it('five refusals by policy: the sixth does not show that it works', async () => {
    const outbox = new MemoryOutbox();
    const refusal = { code: '550', reply: '5.7.1 not from you' };
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'rejected', ...refusal })),
      trouble: { scope: 'message', ...refusal },
    });
    for (let n = 0; n < 6; n += 1) {
      await deliver(outbox.context, await outbox.accept(), options);
      outbox.now += 2 * minute;
    }
    expect(outbox.events.map(({ type }) => type).filter((type) => type.startsWith('mailroom.account'))).toEqual([
      'mailroom.account.failing',
    ]);
  });

  it('an account that starts and stops working is not released with every mail', async () => {
    const outbox = new MemoryOutbox();
    const breaks = async () => {
      outbox.transport.onSend = async (mail) => all(mail, 'deferred', { scope: 'account', code: '535' });
      await deliver(outbox.context, await outbox.accept(), options);
    };
    const works = async () => {
      outbox.transport.onSend = async (mail) => accepted(mail);
      await deliver(outbox.context, await outbox.accept(), options);
      return outbox.queued().filter(({ kind }) => kind === 'release');
    };
    await breaks();
    expect(await works()).toMatchObject([{ delayMs: 0 }]);
    await outbox.rows.write(releasePartition, [{ kind: 'merge', key: accountName, columns: { doneAt: outbox.now } }]);
    await breaks();
    expect(await works()).toMatchObject([{ delayMs: 10 * minute }]);
  });

  it('five refusals by policy tell what to do', async () => {
    const outbox = new MemoryOutbox();
    const refusal = { code: '550', reply: '5.7.1 not from you' };
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'rejected', ...refusal })),
      trouble: { scope: 'message', ...refusal },
    });
    for (let n = 0; n < 5; n += 1) await deliver(outbox.context, await outbox.accept(), options);
    const since = new Date(outbox.now).toISOString();
    const hint = expect.stringContaining('policy');
    expect(failing(outbox).map(({ data }) => data)).toEqual([{ side: 'transport', since, code: '550', hint }]);
  });

  it('is told without the words of the server, which may name an address', async () => {
    const outbox = new MemoryOutbox();
    const hint = 'Check the password.';
    const reply = '5.7.8 anna@example.org: no such user';
    outbox.transport.onSend = async (mail) =>
      all(mail, 'deferred', { scope: 'account', code: '535', reply, hint, retryAfterMs: minute });
    await deliver(outbox.context, await outbox.accept(), options);
    const since = new Date(outbox.now).toISOString();
    expect(failing(outbox).map(({ data }) => data)).toEqual([{ side: 'transport', since, code: '535', hint }]);
  });
});

describe('a mail that waits', () => {
  it('has the length of its wait beside its end, in both of its rows', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async (mail) => all(mail, 'deferred', away);
    await deliver(outbox.context, id, options);
    const localId = id.split('.')[1] ?? '';
    expect((await outbox.rows.get(accountName, recordKey(localId)))?.columns.waitMs).toBe(minute);
    expect((await outbox.rows.get(accountName, openKey(localId)))?.columns).toEqual({
      checkAt: outbox.now + minute + claimMs,
      waitMs: minute + claimMs,
    });
  });

  it('for a delivery that failed has its claim renewed by nobody', async () => {
    vi.useFakeTimers({ now: Date.UTC(2026, 5, 1) });
    try {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept();
      await interrupted(outbox, id, false);
      const until = (await outbox.record(id)).leaseUntil;
      await vi.advanceTimersByTimeAsync(2 * minute);
      expect((await outbox.record(id)).leaseUntil).toBe(until);
    } finally {
      vi.useRealTimers();
    }
  });
});
