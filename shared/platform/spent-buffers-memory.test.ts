import { getHeapSpaceStatistics } from 'node:v8';
import { expect, it, vi } from 'vitest';
import { collections } from '../../test/support/collections.ts';
import { turns } from '../../test/support/turns.ts';
import { spentBuffers } from './spent-buffers.ts';

const mebibyte = 1 << 20;

/** V8 waits with its own collection until so many bytes of buffers were made. */
const v8Limit = 64 * mebibyte;

/** Lets bytes pass as a large mail does, each of them in so many new buffers; answers the most bytes of buffers seen. */
async function pass(bytes: number, { copies, held = 0 }: { readonly copies: number; readonly held?: number }) {
  const step = 64 << 10;
  const inUse: Buffer[] = [];
  let most = 0;
  for (let at = 0; at < bytes; at += step) {
    for (let copy = 0; copy < copies; copy += 1) inUse.push(Buffer.allocUnsafeSlow(step));
    while (inUse.length * step > held) inUse.shift();
    spentBuffers(step);
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    // A thread of V8's frees them meanwhile, as it does while a mail comes from a server.
    if (at % mebibyte === 0) await turns(3);
  }
  return most;
}

const youngSpace = () =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.physical_space_size ?? 0;

/** Makes many small objects, some of which are in use for a while. */
function makeYoung(): void {
  let inUse: object[] = [];
  for (let n = 0; n < 5_000_000; n += 1) {
    inUse.push({ n });
    if (inUse.length > 200_000) inUse = [];
  }
}

it('asks for no collection while a small mail passes', async () => {
  expect(await collections(() => pass(mebibyte, { copies: 5 }))).toEqual({ young: 0, all: 0 });
});

it('gives back the space that many small mails took when a large one comes, which grows again when none passes any more', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    makeYoung();
    expect(youngSpace()).toBeGreaterThan(16 * mebibyte);
    spentBuffers(2 * mebibyte);
    expect(youngSpace()).toBeLessThan(8 * mebibyte);
    makeYoung();
    expect(youngSpace()).toBeLessThan(8 * mebibyte);
    vi.advanceTimersByTime(9_000);
    makeYoung();
    expect(youngSpace()).toBeLessThan(8 * mebibyte);
    vi.advanceTimersByTime(1_000);
    makeYoung();
    expect(youngSpace()).toBeGreaterThan(16 * mebibyte);
  } finally {
    vi.useRealTimers();
  }
});

it('has buffers collected while a large mail passes, long before V8 does it', async () => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const { young } = await collections(async () => {
    most = await pass(150 * mebibyte, { copies: 5 });
  });
  expect(young).toBeGreaterThan(5);
  expect(most - before).toBeLessThan(v8Limit);
});

it('has old ones collected as well, where many were in use for long', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const held = 24 * mebibyte;
  let most = 0;
  const { all } = await collections(async () => {
    most = await pass(150 * mebibyte, { copies: 5, held });
  });
  expect(all).toBeGreaterThan(2);
  expect(most - before).toBeLessThan(held + v8Limit);
});
