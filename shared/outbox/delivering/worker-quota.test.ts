import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Acquired, isAcquired } from '../../platform/acquired.ts';
import { WorkerQuota, workers } from './worker-quota.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Enters as often as it may, and long enough that nobody waits any more. */
async function enterAll(share: WorkerQuota, account: string, count: number): Promise<Acquired[]> {
  const asked = Promise.all(Array.from({ length: count }, () => share.acquire(account)));
  await vi.advanceTimersByTimeAsync(1_500);
  return (await asked).filter((answer): answer is Acquired => isAcquired(answer));
}

it('counts with as many deliveries as the host lets run and still fetches', () => {
  const host = JSON.parse(readFileSync(new URL('../../../host.json', import.meta.url), 'utf8'));
  expect(host.extensions.queues.newBatchThreshold).toBe(workers);
});

it('leaves workers for the next account, however many are at work', async () => {
  const share = new WorkerQuota();
  expect(await enterAll(share, 'one', 40)).toHaveLength(workers / 2);
  expect(await enterAll(share, 'two', 40)).toHaveLength(Math.floor(workers / 3));
  expect(await enterAll(share, 'three', 40)).toHaveLength(Math.floor(workers / 4));
  expect(await share.acquire('four')).not.toHaveProperty('retryAfterMs');
});

it('puts back at once what would wait for a slow server', async () => {
  const share = new WorkerQuota();
  await enterAll(share, 'slow', 40);
  const began = performance.now();
  expect(await share.acquire('slow')).toHaveProperty('retryAfterMs');
  expect(performance.now()).toBe(began);
});

it('keeps for a moment what soon has its turn, in order', async () => {
  const share = new WorkerQuota();
  const inside = await enterAll(share, 'corpus', workers / 2);
  // Deliveries come to an end every 200 ms: not fast enough for more than the share.
  for (let count = 0; count < 30; count += 1) {
    await vi.advanceTimersByTimeAsync(200);
    inside.shift()?.release();
    const worker = await share.acquire('corpus');
    if (isAcquired(worker)) inside.push(worker);
  }
  const order: number[] = [];
  const waiting = [1, 2].map(async (n) => {
    const worker = await share.acquire('corpus');
    if (isAcquired(worker)) order.push(n);
  });
  await vi.advanceTimersByTimeAsync(100);
  expect(order).toEqual([]);
  inside.shift()?.release();
  await vi.advanceTimersByTimeAsync(0);
  expect(order).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1_000);
  await Promise.all(waiting);
  // The second waited its second, and was put back.
  expect(order).toEqual([1]);
});

it('lets an account whose mail leaves fast have what is over, but one, and no longer when its server stalls', async () => {
  const share = new WorkerQuota();
  for (let count = 0; count < 30; count += 1) {
    const worker = await share.acquire('fast');
    await vi.advanceTimersByTimeAsync(10);
    if (isAcquired(worker)) worker.release();
  }
  const inside = await Promise.all(Array.from({ length: workers - 1 }, () => share.acquire('fast')));
  expect(inside.every(isAcquired)).toBe(true);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await share.acquire('fast')).toHaveProperty('retryAfterMs');
  expect(await share.acquire('other')).not.toHaveProperty('retryAfterMs');
});

it('asks mail that is put back to come again as fast as deliveries end', async () => {
  const share = new WorkerQuota();
  await enterAll(share, 'new', 40);
  expect(await share.acquire('new')).toEqual({ retryAfterMs: 1_000 / workers });
  for (let count = 0; count < 20; count += 1) {
    const worker = await share.acquire('slow');
    await vi.advanceTimersByTimeAsync(4_000);
    if (isAcquired(worker)) worker.release();
  }
  await enterAll(share, 'slow', 40);
  const refused = await share.acquire('slow');
  expect(!isAcquired(refused) && refused.retryAfterMs).toBeCloseTo(4_000, -2);
});
