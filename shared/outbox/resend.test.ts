import { describe, expect, it } from 'vitest';
import { accepted, accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import { refusalOf } from '../../test/support/refusal-of.ts';
import type { RecipientOutcome } from '../adapters/transport.ts';
import { Refusal } from '../platform/refusal.ts';
import { claimMs } from './delivering/claim.ts';
import { deliver } from './delivering/deliver.ts';
import { recover } from './delivering/recover.ts';
import { removeOldMail } from './housekeeping.ts';
import { openKey, openPartition, recordKey } from './keys.ts';
import { cancelMessage } from './messages.ts';
import type { MessageStatus } from './record.ts';
import { resendMessage } from './resend.ts';

const minute = 60_000;
const hour = 60 * minute;
const options = { signal: new AbortController().signal };

/** Every recipient as `outcomes` says. */
function answers(outbox: MemoryOutbox, outcomes: Readonly<Record<string, RecipientOutcome>>): void {
  outbox.transport.onSend = async ({ envelope: { to } }, { beforeCommit }) => {
    await beforeCommit();
    return {
      recipients: to.map((address) => ({ address, outcome: outcomes[address] ?? 'accepted', code: '550' })),
      trouble: { scope: 'message', code: '550' },
    };
  };
}

function works(outbox: MemoryOutbox): void {
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    await beforeCommit();
    return accepted(mail);
  };
}

/** A mail to `a@x`, `b@x` and `c@x` that has ended as `outcomes` says. */
async function ended(
  outbox: MemoryOutbox,
  outcomes: Readonly<Record<string, RecipientOutcome>>,
  context = outbox.context,
): Promise<string> {
  const id = await outbox.accept({
    recipients: ['a@x', 'b@x', 'c@x'].map((address) => ({ address, status: 'pending' })),
  });
  answers(outbox, outcomes);
  expect(await deliver(context, id, options)).toBe('ended');
  works(outbox);
  outbox.queued();
  outbox.now += hour;
  return id;
}

const refused = { 'a@x': 'rejected', 'b@x': 'rejected', 'c@x': 'rejected' } as const;
const localId = (id: string) => id.split('.')[1] ?? '';

describe('a resend', () => {
  it.each([
    ['failed', refused, ['a@x', 'b@x', 'c@x']],
    ['partiallySent', { 'b@x': 'rejected' }, ['b@x']],
    ['uncertain', { 'a@x': 'rejected', 'c@x': 'uncertain' }, ['a@x', 'c@x']],
  ] as const)('of a mail that is %s goes to those only who were not accepted', async (status, outcomes, to) => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, outcomes);
    const before = await outbox.record(id);
    expect(before.status).toBe(status);
    const record = await resendMessage(outbox.context, id, options);
    expect(record).toMatchObject({ status: 'queued', messageId: before.messageId });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.transport.sent.map(({ envelope }) => envelope.to)).toEqual([['a@x', 'b@x', 'c@x'], to]);
    expect(new Set(outbox.transport.sent.map(({ messageId }) => messageId)).size).toBe(1);
    const after = await outbox.record(id);
    expect(after.status).toBe('sent');
    expect(after.attempts.map(({ outcome }) => outcome)).toEqual([before.attempts[0]?.outcome, 'resend', 'sent']);
    expect(outbox.isOpen(id)).toBe(false);
  });

  it.each(['scheduled', 'queued', 'sending', 'sent', 'canceled'] as const satisfies readonly MessageStatus[])(
    'of a mail that is %s is refused, with what to do',
    async (status) => {
      const outbox = new MemoryOutbox();
      const id = await outbox.accept({ status });
      const refusal = await resendMessage(outbox.context, id, options).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ name: 'Refusal', reason: 'conflict' });
      expect(String(refusal)).toMatch(new RegExp(`is ${status}, and is not sent again\\. .{20}`));
      expect((await outbox.record(id)).status).toBe(status);
    },
  );

  it('is refused without an account that sends, and without its MIME', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    outbox.account({ enabled: false });
    await expect(resendMessage(outbox.context, id, options)).rejects.toThrow('disabled');
    outbox.accounts.clear();
    await expect(resendMessage(outbox.context, id, options)).rejects.toThrow('was deleted');
    outbox.account({});
    await outbox.rows.write(accountName, [
      { kind: 'merge', key: recordKey(localId(id)), columns: { mimeRemoved: true } },
    ]);
    await expect(resendMessage(outbox.context, id, options)).rejects.toMatchObject({ reason: 'gone' });
    await expect(resendMessage(outbox.context, `${id}0`, options)).rejects.toBeInstanceOf(Refusal);
    expect((await outbox.record(id)).status).toBe('failed');
  });

  it('asked for twice at once is one', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    const both = await Promise.all([1, 2].map(() => resendMessage(outbox.context, id, options)));
    expect(both.map(({ status }) => status)).toEqual(['queued', 'queued']);
    expect(outbox.queued()).toHaveLength(1);
    expect((await outbox.record(id)).attempts.filter(({ outcome }) => outcome === 'resend')).toHaveLength(1);
  });

  /** Others change the message so often, each time before it is written. */
  function changedByOthers(outbox: MemoryOutbox, id: string, times: number): void {
    let left = times;
    outbox.rows.onWrite = async (_, writes) => {
      if (left === 0 || !writes.some(({ kind }) => kind === 'replace')) return;
      left -= 1;
      const write = { kind: 'merge', key: recordKey(localId(id)), columns: { remembered: `${left}` } } as const;
      await outbox.rows.write(accountName, [write]);
    };
  }

  it('is refused where others change the message all the time, and stays as it is', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    changedByOthers(outbox, id, 20);
    const message = 'The message is being changed at this moment; try again.';
    expect(await refusalOf(resendMessage(outbox.context, id, options))).toMatchObject({ reason: 'conflict', message });
    expect((await outbox.record(id)).status).toBe('failed');
    expect(outbox.queued()).toEqual([]);
  });

  it('is carried out where others change the message four times, on what they have left', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    changedByOthers(outbox, id, 4);
    await resendMessage(outbox.context, id, options);
    expect(await outbox.record(id)).toMatchObject({ status: 'queued', remembered: '0' });
    expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  });

  it('is not said to be refused where storage is away', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    outbox.rows.onWrite = (partition) => {
      if (partition === accountName) throw new Error('storage is away');
    };
    await expect(resendMessage(outbox.context, id, options)).rejects.toThrow('storage is away');
  });

  it('publishes first how the mail had ended, and each end under an id of its own', async () => {
    const outbox = new MemoryOutbox();
    const publish = async () => {
      throw new Error('the queue is away');
    };
    const away = { ...outbox.context, events: { publish } };
    const id = await ended(outbox, refused, away);
    expect((await outbox.record(id)).event).toBe('mailroom.message.failed');
    await expect(resendMessage(away, id, options)).rejects.toThrow('the queue is away');
    expect((await outbox.record(id)).status).toBe('failed');
    await resendMessage(outbox.context, id, options);
    answers(outbox, refused);
    await deliver(outbox.context, id, options);
    const resent = new Date(outbox.now).toISOString();
    expect(outbox.events.map(({ type, occasion, data }) => [type, occasion, data.resentAt])).toEqual([
      ['mailroom.message.failed', undefined, undefined],
      ['mailroom.message.failed', resent, resent],
    ]);
  });

  it('begins the 48 hours, and the waits between attempts, anew', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    outbox.transport.onSend = async (mail) => ({
      recipients: mail.envelope.to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'connection', code: 'ECONNREFUSED' },
    });
    const untilFailed = async () => {
      const waits: number[] = [];
      const began = outbox.now;
      for (;;) {
        await deliver(outbox.context, id, options);
        const { status, nextAttemptAt = 0 } = await outbox.record(id);
        if (status === 'failed') return { waits, ms: outbox.now - began };
        waits.push((nextAttemptAt - outbox.now) / minute);
        outbox.now = nextAttemptAt;
      }
    };
    const first = await untilFailed();
    outbox.now += 30 * 24 * hour;
    await resendMessage(outbox.context, id, options);
    expect(await untilFailed()).toEqual(first);
    expect(first.waits.slice(0, 5)).toEqual([1, 5, 15, 60, 60]);
    const { attempts } = await outbox.record(id);
    expect(attempts.filter(({ outcome }) => outcome === 'resend')).toHaveLength(1);
  });

  it('of a process that ends before it has queued the mail is made up for by the recovery timer', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    const enqueue = async () => {
      throw new Error('gone');
    };
    // Nothing is open, and the timer has forgotten the account.
    await recover(outbox.context, options);
    expect(outbox.rows.keys(openPartition)).not.toContain(accountName);
    await resendMessage({ ...outbox.context, enqueue }, id, options);
    outbox.now += 2 * claimMs;
    expect(await recover(outbox.context, options)).toBe(1);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('sent');
  });
});

describe('a process that stood still while a mail was sent again', () => {
  it('in its attempt: it neither commits nor writes down its outcome', async () => {
    const outbox = new MemoryOutbox();
    const id = await outbox.accept();
    let awake: () => void = () => undefined;
    const sleeps = new Promise<void>((resolve) => {
      awake = resolve;
    });
    let committed = false;
    outbox.transport.onSend = async (mail, { beforeCommit }) => {
      await beforeCommit();
      await sleeps;
      await beforeCommit();
      committed = true;
      return accepted(mail);
    };
    const zombie = deliver(outbox.context, id, options);
    await expect.poll(async () => (await outbox.record(id)).committing).toBe(true);
    outbox.now += 2 * claimMs;
    await deliver(outbox.context, id, options);
    expect((await outbox.record(id)).status).toBe('uncertain');
    await resendMessage(outbox.context, id, options);
    awake();
    await zombie.catch(() => undefined);
    expect(committed).toBe(false);
    expect(await outbox.record(id)).toMatchObject({ status: 'queued', recipients: [{ status: 'pending' }] });
    works(outbox);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('with the end of the mail in its hand: the mail stays among the open ones', async () => {
    const outbox = new MemoryOutbox();
    const id = await ended(outbox, refused);
    let resent = false;
    outbox.rows.onWrite = async (_, writes) => {
      // A copy of the queue's message closes the books of the mail that has ended.
      if (resent || !writes.some(({ kind, key }) => kind === 'delete' && key === openKey(localId(id)))) return;
      resent = true;
      await resendMessage(outbox.context, id, options);
    };
    await deliver(outbox.context, id, options);
    expect(resent).toBe(true);
    expect(outbox.isOpen(id)).toBe(true);
  });
});

describe('an uncertain mail of a transport that can find out', () => {
  async function inDoubt(): Promise<{ readonly outbox: MemoryOutbox; readonly id: string; readonly at: number }> {
    const outbox = new MemoryOutbox();
    outbox.transport.resolveUncertain = async () => undefined;
    const id = await outbox.accept();
    outbox.transport.onSend = async ({ envelope: { to } }, { remember, beforeCommit }) => {
      await remember('the note');
      await beforeCommit();
      return { recipients: to.map((address) => ({ address, outcome: 'uncertain' })), trouble: { scope: 'connection' } };
    };
    const at = outbox.now;
    while ((await outbox.record(id)).status !== 'uncertain') {
      await deliver(outbox.context, id, options);
      outbox.now += minute;
    }
    works(outbox);
    outbox.now += hour;
    return { outbox, id, at };
  }

  it('is not sent again where it is found now', async () => {
    const { outbox, id, at } = await inDoubt();
    const asked: unknown[] = [];
    outbox.transport.resolveUncertain = async (mail, { remembered, sinceCommitMs }) => {
      asked.push([remembered, outbox.now - sinceCommitMs >= at]);
      return accepted(mail);
    };
    await resendMessage(outbox.context, id, options);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(asked).toEqual([['the note', true]]);
    expect(outbox.transport.sent).toHaveLength(1);
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it.each([
    ['is not there', 'deferred'],
    ['cannot be found', undefined],
  ] as const)('is sent again where it %s', async (_, outcome) => {
    const { outbox, id } = await inDoubt();
    outbox.transport.resolveUncertain = async ({ envelope: { to } }) =>
      outcome && { recipients: to.map((address) => ({ address, outcome })), trouble: { scope: 'connection' } };
    await resendMessage(outbox.context, id, options);
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(outbox.transport.sent).toHaveLength(2);
    expect((await outbox.record(id)).status).toBe('sent');
  });

  it('is looked for again at the next attempt where the first one reached nobody', async () => {
    const { outbox, id } = await inDoubt();
    let looked = 0;
    outbox.transport.resolveUncertain = async () => {
      looked += 1;
      return undefined;
    };
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'deferred' })),
      trouble: { scope: 'connection', code: 'ECONNREFUSED' },
    });
    await resendMessage(outbox.context, id, options);
    for (const expected of [1, 2]) {
      expect(await deliver(outbox.context, id, options)).toBe('waiting');
      expect(looked).toBe(expected);
      outbox.now = (await outbox.record(id)).nextAttemptAt ?? 0;
    }
  });
});

it('what is kept of a mail is kept from its end on', async () => {
  const outbox = new MemoryOutbox();
  const day = 24 * hour;
  const keep = { mimeDays: 30, recordDays: 90 };
  const metadata = { invoice: '4711' };
  const id = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + 300 * day, metadata });
  const canceled = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + 300 * day });
  outbox.now += 300 * day;
  await deliver(outbox.context, id, options);
  await cancelMessage(outbox.context, canceled, options);
  outbox.now += 29 * day;
  await removeOldMail(outbox.context, keep, options);
  for (const each of [id, canceled]) expect((await outbox.record(each)).mimeRemoved).toBeUndefined();
  outbox.now += 2 * day;
  await removeOldMail(outbox.context, keep, options);
  for (const each of [id, canceled]) expect((await outbox.record(each)).mimeRemoved).toBe(true);
  expect((await outbox.record(id)).metadata).toEqual(metadata);
  outbox.now += 60 * day;
  await removeOldMail(outbox.context, keep, options);
  for (const each of [id, canceled]) await expect(outbox.record(each)).rejects.toThrow('no record');
});
