import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Shutdown } from '../../platform/shutdown.ts';
import { noCounts } from '../run-counts.ts';
import type { ImportContext } from '../session/import-context.ts';
import { RunTime } from './run-time.ts';

const budgetMs = 1_000;
const startedAt = 5_000;
let elapsedMs = 0;

beforeEach(() => {
  elapsedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => startedAt + elapsedMs);
});
afterEach(() => {
  vi.restoreAllMocks();
});

function run() {
  const inbox = { budgetMs, shutdown: new Shutdown() };
  const counts = noCounts();
  return { time: new RunTime({ inbox, counts, startedAt } as unknown as ImportContext), counts, inbox };
}

describe('a run of a thousand milliseconds', () => {
  it.each([
    [0, true, false],
    [799, true, false],
    [800, false, false],
    [919, false, false],
    [920, false, true],
    [2_000, false, true],
  ])('after %i: begins new work %s, is over %s', (ms, mayBegin, over) => {
    const { time } = run();
    elapsedMs = ms;
    expect([time.mayBegin(), time.over()]).toEqual([mayBegin, over]);
  });

  it.each([
    // What is left until everything is set aside at 920.
    [0, 1_000 / 3, 250, 920],
    [600, 320, 250, 320],
    [700, 220, 220, 220],
    [900, 20, 20, 20],
    // Never none: a limit of nothing would be none.
    [920, 1, 1, 1],
    [5_000, 1, 1, 1],
  ])('after %i gives a page %d, a mail alone %d, and the last one %d', (ms, page, alone, last) => {
    const { time } = run();
    elapsedMs = ms;
    expect(time.pageMs()).toBeCloseTo(page, 6);
    expect(time.aloneMs()).toBeCloseTo(alone, 6);
    expect(time.lastMs()).toBeCloseTo(last, 6);
  });

  it.each([
    [499, false],
    [500, true],
  ])('a try of %i was a fair one: %s', (ms, fair) => {
    expect(run().time.isFair(ms)).toBe(fair);
  });

  it('begins nothing once it has imported its share, or its process is to end', async () => {
    const { time, counts, inbox } = run();
    counts.imported = 4_999;
    expect(time.mayBegin()).toBe(true);
    counts.imported = 5_000;
    expect(time.mayBegin()).toBe(false);
    counts.imported = 0;
    await inbox.shutdown.announce(0);
    expect(time.mayBegin()).toBe(false);
  });
});
