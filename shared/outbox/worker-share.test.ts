import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WorkerShare, workers } from './worker-share.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Enters as often as it may, and long enough that nobody waits any more. */
async function enterAll(share: WorkerShare, account: string, count: number): Promise<(() => void)[]> {
  const asked = Promise.all(Array.from({ length: count }, () => share.enter(account)));
  await vi.advanceTimersByTimeAsync(1_500);
  return (await asked).filter((leave) => leave !== undefined);
}

it('counts with as many deliveries as the host lets run and still fetches', () => {
  const host = JSON.parse(readFileSync(new URL('../../host.json', import.meta.url), 'utf8'));
  expect(host.extensions.queues.newBatchThreshold).toBe(workers);
});

it('leaves workers for the next account, however many are at work', async () => {
  const share = new WorkerShare();
  expect(await enterAll(share, 'one', 40)).toHaveLength(workers / 2);
  expect(await enterAll(share, 'two', 40)).toHaveLength(Math.floor(workers / 3));
  expect(await enterAll(share, 'three', 40)).toHaveLength(Math.floor(workers / 4));
  expect(await share.enter('four')).toBeDefined();
});

it('puts back at once what would wait for a slow server', async () => {
  const share = new WorkerShare();
  await enterAll(share, 'slow', 40);
  const began = performance.now();
  expect(await share.enter('slow')).toBeUndefined();
  expect(performance.now()).toBe(began);
});

it('keeps for a moment what soon has its turn, in order', async () => {
  const share = new WorkerShare();
  const inside = await enterAll(share, 'corpus', workers / 2);
  // Deliveries come to an end every 200 ms: not briskly enough for more than the share.
  for (let count = 0; count < 30; count += 1) {
    await vi.advanceTimersByTimeAsync(200);
    inside.shift()?.();
    const leave = await share.enter('corpus');
    if (leave) inside.push(leave);
  }
  const order: number[] = [];
  const waiting = [1, 2].map(async (n) => {
    const leave = await share.enter('corpus');
    if (leave) order.push(n);
  });
  await vi.advanceTimersByTimeAsync(100);
  expect(order).toEqual([]);
  inside.shift()?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(order).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1_000);
  await Promise.all(waiting);
  // The second waited its second, and was put back.
  expect(order).toEqual([1]);
});

it('lets an account whose mail leaves briskly have what is over, but one, and no longer when its server stalls', async () => {
  const share = new WorkerShare();
  for (let count = 0; count < 30; count += 1) {
    const leave = await share.enter('brisk');
    await vi.advanceTimersByTimeAsync(10);
    leave?.();
  }
  const inside = await Promise.all(Array.from({ length: workers - 1 }, () => share.enter('brisk')));
  expect(inside.every((leave) => leave !== undefined)).toBe(true);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await share.enter('brisk')).toBeUndefined();
  expect(await share.enter('other')).toBeDefined();
});

it('tells mail that is put back to come again as fast as deliveries end', async () => {
  const share = new WorkerShare();
  expect(share.pace('new')).toBeLessThan(100);
  for (let count = 0; count < 20; count += 1) {
    const leave = await share.enter('slow');
    await vi.advanceTimersByTimeAsync(4_000);
    leave?.();
  }
  expect(share.pace('slow')).toBeCloseTo(4_000, -2);
});
