import { expect, it, vi } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { MessageRecord, Recipient } from '../record.ts';
import { keepsBeingRefused } from './policy-refusals.ts';

const byPolicy: Recipient = { address: 'a@x', status: 'rejected', reply: '5.7.1 not from you' };

/** A mail that was tried in a minute of its own, refused by policy unless `fields` says otherwise. */
async function tried(outbox: MemoryOutbox, minute: number, fields: Partial<MessageRecord> = {}) {
  const at = new Date(outbox.now + minute * 60_000).toISOString();
  const attempts = [{ at, outcome: 'failed' as const }];
  return await outbox.record(await outbox.accept({ status: 'failed', recipients: [byPolicy], attempts, ...fields }));
}

async function refused(
  others: readonly [minute: number, fields: Partial<MessageRecord>][],
  last: Partial<MessageRecord> = {},
  count = 5,
) {
  const outbox = new MemoryOutbox();
  for (let n = 1; n < count; n += 1) await tried(outbox, 10 * n);
  for (const [minute, fields] of others) await tried(outbox, minute, fields);
  return await keepsBeingRefused(outbox.context, await tried(outbox, 100, last));
}

const sent: Partial<MessageRecord> = { status: 'sent', recipients: [{ address: 'a@x', status: 'accepted' }] };
const refusedOtherwise: Partial<MessageRecord> = { recipients: [{ ...byPolicy, reply: '5.1.1 no such user' }] };

it.each<[string, Parameters<typeof refused>, boolean]>([
  ['five in a row', [[]], true],
  ['four', [[], {}, 4], false],
  ['five, and one before them that was sent', [[[5, sent]]], true],
  ['five, and one among them that was sent', [[[25, sent]]], false],
  ['five, and one among them that was refused for something else', [[[25, refusedOtherwise]]], false],
  ['five, and one among them that waits for another attempt', [[[25, { status: 'queued' }]]], false],
  ['five, and one that is being sent', [[[25, { ...sent, status: 'sending' }]]], true],
  ['five, and one that was never tried', [[[25, { ...sent, status: 'queued', attempts: [] }]]], true],
  ['six', [[], {}, 6], true],
  ['five, the last for something else', [[], refusedOtherwise], false],
  [
    'five, the last for something else, with words that name a policy',
    [[], { recipients: [{ ...byPolicy, reply: 'see 5.7.1' }] }],
    false,
  ],
  ['five, the last without a word', [[], { recipients: [{ address: 'a@x', status: 'rejected' }] }], false],
  ['five, the last put off', [[], { recipients: [{ ...byPolicy, status: 'deferred' }] }], false],
  [
    'five, the last for one of its recipients',
    [[], { recipients: [byPolicy, { address: 'b@x', status: 'accepted' }] }],
    false,
  ],
])('%s', async (_, given, expected) => {
  expect(await refused(...given)).toBe(expected);
});

it('goes by when they were tried, not by when they came', async () => {
  const outbox = new MemoryOutbox();
  await tried(outbox, 90, sent);
  for (let n = 1; n < 5; n += 1) await tried(outbox, n);
  expect(await keepsBeingRefused(outbox.context, await tried(outbox, 100))).toBe(false);
});

it('reads fifty records at most, and none for a mail that was not refused so', async () => {
  const outbox = new MemoryOutbox();
  const range = vi.spyOn(outbox.rows, 'range');
  await keepsBeingRefused(outbox.context, await tried(outbox, 1));
  expect(range.mock.calls.map(([account, from, , options]) => [account, from, options?.top])).toEqual([
    [accountName, 'm:', 50],
  ]);
  await keepsBeingRefused(outbox.context, await tried(outbox, 1, sent));
  expect(range).toHaveBeenCalledTimes(1);
});
