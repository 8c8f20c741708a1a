import { expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../test/support/memory-outbox.ts';
import type { Receipt } from '../adapters/transport.ts';
import { newestFirstId } from '../platform/ids.ts';
import { dayStats } from '../stats/stats.ts';
import { deliver } from './delivering/deliver.ts';
import { removeOldMail } from './housekeeping.ts';
import { failureKey, failurePrefix, openKey } from './keys.ts';
import { cancelMessage } from './messages.ts';
import { changesFailures, readFailures, type TransportStatusOptions, transportStatus } from './status.ts';

const options = { signal: new AbortController().signal };
const hour = 3_600_000;

const receipt = (outcome: 'rejected' | 'deferred' | 'uncertain', more: Partial<Receipt['trouble']> = {}): Receipt => ({
  recipients: [{ address: 'anna@example.org', outcome, code: '550' }],
  trouble: { scope: 'message', code: '550', ...more },
});

/** A mail whose attempt comes to `outcome`. */
async function attempted(outbox: MemoryOutbox, outcome?: Receipt): Promise<string> {
  const id = await outbox.accept();
  if (outcome) outbox.transport.onSend = async () => outcome;
  await deliver(outbox.context, id, options);
  return id;
}

const today = async ({ context }: MemoryOutbox) =>
  (await dayStats({ clock: context.clock, counts: [context.dayCounts] }, [accountName], { days: 1, ...options }))[0];

it('reports mail that waits, and when the oldest of it was accepted', async () => {
  const outbox = new MemoryOutbox();
  const status = () => transportStatus(outbox.context, accountName, options);
  expect(await status()).toEqual({ waiting: 0, oldestWaiting: null, failedWithinDay: 0, lastFailure: null });
  const oldestWaiting = new Date(outbox.now).toISOString();
  await attempted(outbox, receipt('deferred'));
  expect(await status()).toMatchObject({ waiting: 1, oldestWaiting });
  outbox.now += hour;
  await outbox.accept();
  expect(await status()).toMatchObject({ waiting: 2, oldestWaiting });
});

it('does not count a scheduled mail as one that waits, until its time has come', async () => {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept({ status: 'scheduled', nextAttemptAt: outbox.now + hour });
  const checkAt = outbox.now + hour;
  await outbox.rows.write(accountName, [
    { kind: 'put', key: openKey(id.slice(accountName.length + 1)), columns: { checkAt } },
  ]);
  const waiting = async () => (await transportStatus(outbox.context, accountName, options)).waiting;
  expect(await waiting()).toBe(0);
  outbox.now = checkAt;
  expect(await waiting()).toBe(1);
});

it('does not count a mail as one that waits, whose end alone is still to be told', async () => {
  const outbox = new MemoryOutbox();
  const publish = async () => {
    throw new Error('the queue is away');
  };
  const id = await outbox.accept();
  await deliver({ ...outbox.context, events: { publish } }, id, options).catch(() => undefined);
  expect(outbox.isOpen(id)).toBe(true);
  expect(await transportStatus(outbox.context, accountName, options)).toMatchObject({
    waiting: 0,
    oldestWaiting: null,
  });
});

it('asks storage once for each of what waits and what failed, and for nothing that is known', async () => {
  const outbox = new MemoryOutbox();
  await outbox.accept();
  const requests = async (known: Partial<TransportStatusOptions>) => {
    const before = outbox.rows.requests;
    const status = await transportStatus(outbox.context, accountName, { ...options, ...known });
    return { status, requests: outbox.rows.requests - before };
  };
  expect(await requests({})).toMatchObject({ status: { waiting: 1 }, requests: 2 });
  const at = outbox.now - 25 * hour;
  // Written down a while ago: what is older than a day by now does not count.
  const failures = {
    last: { at, message: 'zd0000000000000000000000' },
    recent: [at, outbox.now - 24 * hour, outbox.now],
  };
  const lastFailure = { at: new Date(at).toISOString(), message: `${accountName}.${failures.last.message}` };
  expect(await requests({ nothingOpen: true, failures })).toEqual({
    status: {
      ...{ waiting: 0, oldestWaiting: null, failedWithinDay: 1 },
      lastFailure: { ...lastFailure, code: null, hint: null },
    },
    requests: 0,
  });
  await outbox.rows.write(accountName, [
    { kind: 'put', key: failureKey(at, failures.last.message), columns: failures.last },
  ]);
  // That one is older than a day: so are all others, and they are not read.
  expect(await requests({ nothingOpen: true })).toMatchObject({ status: { failedWithinDay: 0 }, requests: 1 });
});

it('counts 5,000 and no more', async () => {
  const outbox = new MemoryOutbox();
  const ids = Array.from({ length: 5_001 }, () => newestFirstId(outbox.now));
  await outbox.rows.write(
    accountName,
    ids.flatMap((id) => [
      { kind: 'put', key: openKey(id), columns: { checkAt: outbox.now, waitMs: 0 } },
      { kind: 'put', key: failureKey(outbox.now, id), columns: { at: outbox.now, message: id } },
    ]),
  );
  const status = await transportStatus(outbox.context, accountName, options);
  expect(status).toMatchObject({ waiting: 5_000, failedWithinDay: 5_000 });
});

it.each([
  ['what waits', { failures: { recent: [] } }],
  ['what failed', { nothingOpen: true }],
])('does not read %s for a caller who has gone', async (_, known) => {
  const outbox = new MemoryOutbox();
  const signal = AbortSignal.abort(new Error('the caller is gone'));
  await expect(transportStatus(outbox.context, accountName, { signal, ...known })).rejects.toThrow('is gone');
});

it('says what failed within a day, and the last failure, with its code and hint, for as long as records are kept', async () => {
  const outbox = new MemoryOutbox();
  await attempted(outbox, receipt('rejected'));
  outbox.now += 2 * hour;
  const id = await attempted(outbox, receipt('rejected', { code: '552', hint: 'Send less at a time.' }));
  const lastFailure = {
    at: new Date(outbox.now).toISOString(),
    message: id,
    code: '552',
    hint: 'Send less at a time.',
  };
  const status = () => transportStatus(outbox.context, accountName, options);
  expect(await status()).toEqual({ waiting: 0, oldestWaiting: null, failedWithinDay: 2, lastFailure });
  outbox.now += 23 * hour;
  expect(await status()).toMatchObject({ failedWithinDay: 1, lastFailure });
  outbox.now += 2 * hour;
  expect(await status()).toMatchObject({ failedWithinDay: 0, lastFailure });
  expect(outbox.rows.keys(accountName, 'f:')).toHaveLength(2);
  outbox.now += 30 * 24 * hour;
  const noBlobs = { listBlobsFlat: async function* () {} };
  const context = { ...outbox.context, mime: async () => noBlobs as never };
  await removeOldMail(context, { mimeDays: 1, recordDays: 30 }, options);
  expect(outbox.rows.keys(accountName, 'f:')).toEqual([]);
});

it('what failed is read once, with its instants: without another reading it ages as it does in storage', async () => {
  const outbox = new MemoryOutbox();
  expect(await readFailures(outbox.context, accountName, options)).toEqual({ recent: [] });
  const instants: number[] = [];
  for (let mail = 0; mail < 2; mail += 1) {
    outbox.now += 2 * hour;
    instants.unshift(outbox.now);
    await attempted(outbox, receipt('rejected'));
  }
  const failures = await readFailures(outbox.context, accountName, options);
  expect(failures).toMatchObject({ last: { at: instants[0], code: '550' }, recent: instants });
  for (const failedWithinDay of [2, 1, 0]) {
    for (const known of [{ failures }, {}]) {
      const status = await transportStatus(outbox.context, accountName, { ...options, ...known });
      expect(status).toMatchObject({ failedWithinDay });
    }
    outbox.now += failedWithinDay === 2 ? 23 * hour : 2 * hour;
  }
});

it('a write changes what failed where a mail fails, and at no other time', async () => {
  const outbox = new MemoryOutbox();
  let changes = 0;
  outbox.rows.onWrite = (_, writes) => {
    changes += writes.filter(changesFailures).length;
  };
  await attempted(outbox);
  await attempted(outbox, receipt('deferred'));
  expect(changes).toBe(0);
  await attempted(outbox, receipt('rejected'));
  expect(changes).toBe(1);
  expect(outbox.rows.keys(accountName, failurePrefix)).toHaveLength(1);
});

it('what a mail came to counts once for its day, with the seconds it took', async () => {
  const outbox = new MemoryOutbox();
  const sent = await outbox.accept();
  outbox.now += 30_000;
  const both = await Promise.all([deliver(outbox.context, sent, options), deliver(outbox.context, sent, options)]);
  expect([...both].sort()).toEqual(['claimed', 'ended']);
  await deliver(outbox.context, sent, options);
  await attempted(outbox, receipt('rejected'));
  await attempted(outbox, receipt('deferred'));
  outbox.transport.onSend = async (_, { beforeCommit }) => {
    await beforeCommit();
    return receipt('uncertain');
  };
  await attempted(outbox);
  await cancelMessage(outbox.context, await outbox.accept(), options);
  const counts = await today(outbox);
  expect(counts).toMatchObject({ sent: 1, failed: 1, uncertain: 1, bounced: 0 });
  expect(counts?.medianSeconds).toBeGreaterThan(28);
  expect(counts?.medianSeconds).toBeLessThan(32);
});

it('a mail that comes back is counted as bounced as well, by the end at which it did', async () => {
  const outbox = new MemoryOutbox();
  const bounced = { address: 'anna@example.org', status: 'bounced' as const };
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    await beforeCommit();
    return {
      recipients: mail.envelope.to.map((address) => ({
        address,
        outcome: 'accepted',
        bounce: { status: '5.1.1', diagnostic: 'nobody' },
      })),
    };
  };
  await attempted(outbox);
  // One that bounced before, and whose other recipient gets it only now.
  await attempted(outbox);
  const pending = { address: 'bert@example.org', status: 'pending' as const };
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    await beforeCommit();
    return { recipients: mail.envelope.to.map((address) => ({ address, outcome: 'accepted' })) };
  };
  await deliver(outbox.context, await outbox.accept({ recipients: [bounced, pending] }), options);
  expect(await today(outbox)).toMatchObject({ sent: 3, bounced: 2 });
});

it('a scheduled mail counts its seconds from when it was to leave', async () => {
  const outbox = new MemoryOutbox();
  const sendAt = new Date(outbox.now + 5 * hour).toISOString();
  const id = await outbox.accept({ status: 'scheduled', sendAt, nextAttemptAt: outbox.now + 5 * hour });
  outbox.now += 5 * hour + 10_000;
  await deliver(outbox.context, id, options);
  expect((await today(outbox))?.medianSeconds).toBeCloseTo(10, 0);
});

it('a mail that is canceled when some have it has failed, and what was counted is not lost with a delivery that is', async () => {
  const outbox = new MemoryOutbox();
  const recipients = [
    { address: 'anna@example.org', status: 'accepted' as const },
    { address: 'bert@example.org', status: 'deferred' as const },
  ];
  await cancelMessage(outbox.context, await outbox.accept({ recipients }), options);
  expect(await today(outbox)).toMatchObject({ sent: 0, failed: 1 });
  // The process ends as it writes the outcome: the next one counts it, once.
  const id = await outbox.accept();
  outbox.rows.onWrite = (_, writes) => {
    if (writes.some(({ key }) => key.startsWith('t:new:'))) throw new Error('gone');
  };
  await expect(deliver(outbox.context, id, options)).rejects.toThrow('gone');
  outbox.rows.onWrite = () => undefined;
  outbox.now += 10 * 60_000;
  await deliver(outbox.context, id, options);
  expect(await today(outbox)).toMatchObject({ sent: 0, failed: 1, uncertain: 1 });
});
