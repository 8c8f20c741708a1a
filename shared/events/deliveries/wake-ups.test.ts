import { beforeEach, describe, expect, it } from 'vitest';
import { WakeUps } from './wake-ups.ts';

let now = 0;
let queued: number[] = [];
let fails = false;
let wakeUps: WakeUps;

beforeEach(() => {
  now = 1_000_000;
  queued = [];
  fails = false;
  wakeUps = new WakeUps(
    async (_, delayMs) => {
      if (fails) throw new Error('storage is away');
      queued.push(delayMs);
    },
    { now: () => now },
  );
});

describe('queue messages that have deliveries looked at', () => {
  it('are two a second at most, and the second is seen after all that was recorded before', async () => {
    for (let n = 0; n < 1_000; n += 1) {
      await wakeUps.request('corpus');
      now += 1;
    }
    expect(queued).toEqual([0, 1_000]);
    // The second may have been taken by now.
    now += 1;
    await wakeUps.request('corpus');
    expect(queued).toEqual([0, 1_000, 0]);
  });

  it('for later are one, and do not stand for one that is wanted sooner', async () => {
    await wakeUps.request('corpus', now + 5_000);
    await wakeUps.request('corpus', now + 4_500);
    await wakeUps.request('corpus');
    expect(queued).toEqual([5_000, 0]);
  });

  it('are each target’s own', async () => {
    await wakeUps.request('corpus');
    await wakeUps.request('other');
    expect(queued).toEqual([0, 0]);
  });

  it('that could not be put stand for nothing', async () => {
    fails = true;
    await wakeUps.request('corpus', now + 60_000);
    fails = false;
    await wakeUps.request('corpus', now + 60_000);
    expect(queued).toEqual([60_000]);
  });

  it('are put off while nothing is sent to the target, for a minute at most', async () => {
    wakeUps.pause('corpus', now + 30_000);
    await wakeUps.request('corpus');
    await wakeUps.request('corpus');
    expect(queued).toEqual([30_000]);
    wakeUps.resume('corpus');
    await wakeUps.request('corpus');
    expect(queued).toEqual([30_000, 0]);
    wakeUps.pause('other', Number.POSITIVE_INFINITY);
    await wakeUps.request('other');
    expect(queued).toEqual([30_000, 0, 60_000]);
  });
});
