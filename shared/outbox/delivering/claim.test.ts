import { describe, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { recordKey } from '../keys.ts';
import { type MessageRecord, recordColumns, recordOf } from '../record.ts';
import { Claim, claimMs } from './claim.ts';

const start = Date.UTC(2026, 5, 1);
const queued: MessageRecord = {
  account: 'corpus',
  localId: 'rest',
  status: 'queued',
  messageId: '<m@example.com>',
  createdAt: new Date(start).toISOString(),
  envelope: { from: 'corpus@example.com' },
  headerFrom: 'corpus@example.com',
  bcc: [],
  size: 10,
  recipients: [{ address: 'anna@example.org', status: 'pending' }],
  attempts: [],
};
const key = recordKey(queued.localId);

async function outbox() {
  let now = start;
  const rows = new MemoryRows(() => now);
  await rows.write(queued.account, [{ kind: 'insert', key, columns: recordColumns(queued) }]);
  const read = async () => (await rows.get(queued.account, key)) ?? expect.fail('no record');
  return {
    later: (ms: number) => {
      now += ms;
    },
    record: async () => recordOf(queued.account, await read()),
    claim: async () => {
      const row = await read();
      const claim = await Claim.acquire({ rows, clock: { now: () => now } }, recordOf(queued.account, row), row);
      return isAcquired(claim) ? claim : expect.fail('claimed by somebody else');
    },
  };
}

describe('a claim', () => {
  it('notes the attempt that ended before its commit point, though this one ends without a word too', async () => {
    const { claim, later, record } = await outbox();
    (await claim()).release();
    later(2 * claimMs);
    const second = await claim();
    await second.commit();
    second.release();
    const interrupted = { at: new Date(start).toISOString(), outcome: 'interrupted' };
    expect((await record()).attempts).toEqual([interrupted]);
    later(2 * claimMs);
    const third = await claim();
    expect(third.record.attempts).toEqual([interrupted]);
    third.release();
    expect(await record()).toMatchObject({ committing: true, attempts: [interrupted] });
  });

  it('notes nothing of a claim that passed its commit point: its outcome is found out', async () => {
    const { claim, later, record } = await outbox();
    const first = await claim();
    await first.commit();
    first.release();
    later(2 * claimMs);
    (await claim()).release();
    expect((await record()).attempts).toEqual([]);
  });
});
