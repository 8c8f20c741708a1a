import { beforeEach, describe, expect, it } from 'vitest';
import { accepted, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { deliver } from './deliver.ts';
import { whileCallerWaits } from './while-caller-waits.ts';

const signal = new AbortController().signal;
let outbox: MemoryOutbox;

beforeEach(() => {
  outbox = new MemoryOutbox();
});

async function wait(id: string, waitMs?: number) {
  const record = await outbox.record(id);
  return await whileCallerWaits(outbox.context, record, { signal, ...(waitMs === undefined ? {} : { waitMs }) });
}

const deferring = () => {
  outbox.transport.onSend = async ({ envelope: { to } }) => ({
    recipients: to.map((address) => ({ address, outcome: 'deferred', code: '451' })),
    trouble: { scope: 'message', code: '451' },
  });
};

/** The server answers when the answer of this is called. */
function holding(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    await promise;
    await beforeCommit();
    return accepted(mail);
  };
  return resolve;
}

/** Somebody delivers a mail already. */
async function delivering(id: string): Promise<{ readonly ended: Promise<unknown> }> {
  const ended = deliver(outbox.context, id, { signal });
  await expect.poll(async () => (await outbox.record(id)).status).toBe('sending');
  return { ended };
}

describe('a caller who waits', () => {
  it('has the mail delivered, and its end answered, with the attempt', async () => {
    const id = await outbox.accept();
    const waited = await wait(id, 60_000);
    expect(waited).toMatchObject({ ended: true, record: { status: 'sent' }, attempt: { outcome: 'sent' } });
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('hears of an attempt that failed for now', async () => {
    deferring();
    const waited = await wait(await outbox.accept(), 60_000);
    expect(waited).toMatchObject({ ended: false, record: { status: 'queued' }, attempt: { outcome: 'deferred' } });
  });

  it('is answered when the time is over, and the delivery goes on', async () => {
    const id = await outbox.accept();
    const answer = holding();
    const waited = await wait(id, 50);
    expect(waited).toMatchObject({ ended: false, record: { status: 'sending' } });
    expect(waited.attempt).toBeUndefined();
    answer();
    await expect.poll(async () => (await outbox.record(id)).status).toBe('sent');
  });

  it('waits for whoever delivers it already', async () => {
    const id = await outbox.accept();
    const answer = holding();
    const { ended } = await delivering(id);
    const waiting = wait(id, 60_000);
    setTimeout(answer, 150);
    expect(await waiting).toMatchObject({ ended: true, record: { status: 'sent' } });
    await ended;
    expect(outbox.transport.sent).toHaveLength(1);
  });

  it('is answered in time where whoever delivers it takes longer', async () => {
    const id = await outbox.accept();
    const answer = holding();
    const { ended } = await delivering(id);
    expect(await wait(id, 150)).toMatchObject({ ended: false, record: { status: 'sending' } });
    answer();
    await ended;
  });

  it('is not told of a failure of storage in the delivery, but of the mail as it is', async () => {
    const id = await outbox.accept();
    outbox.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    const waited = await wait(id, 60_000);
    expect(waited).toMatchObject({ ended: false, record: { status: 'queued' } });
    expect(waited.attempt).toBeUndefined();
  });
});

describe('a caller who does not wait', () => {
  it('is answered at once, and nothing is sent for it', async () => {
    const id = await outbox.accept();
    expect(await wait(id)).toMatchObject({ ended: false, record: { status: 'queued' } });
    expect(outbox.transport.sent).toEqual([]);
  });

  it('for it is a mail that has ended, or whose time has not come', async () => {
    const ended = await outbox.accept({ status: 'failed' });
    expect(await wait(ended, 60_000)).toMatchObject({ ended: true, record: { status: 'failed' } });
    outbox.now += 1_000;
    const later = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + 60_000 });
    expect(await wait(later, 60_000)).toMatchObject({ ended: false, record: { status: 'scheduled' } });
    expect(outbox.transport.sent).toEqual([]);
  });
});

it('an earlier attempt is none that was made while the caller waited', async () => {
  deferring();
  const id = await outbox.accept();
  await deliver(outbox.context, id, { signal });
  const waited = await wait(id, 60_000);
  expect(waited.record.attempts).toHaveLength(1);
  expect(waited.attempt).toBeUndefined();
});
