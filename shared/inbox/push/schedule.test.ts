import { beforeEach, describe, expect, it, vi } from 'vitest';
import { RowConflict } from '../../platform/rows.ts';
import type { PushContext } from './context.ts';
import { folderKey, subscriptionKey } from './keys.ts';
import { accountWith, Process, PushStage, signal } from './push.test-support.ts';
import { PushSchedule } from './schedule.ts';
import { insertRow } from './subscription-rows.ts';
import { tendSubscriptions } from './tend.ts';
import { lookMs, renewEveryMs } from './timing.ts';

const minuteMs = 60_000;
let stage: PushStage;

beforeEach(() => {
  for (const level of ['info', 'warn'] as const) vi.spyOn(console, level).mockReturnValue(undefined);
  stage = new PushStage({ refusesSecond: true });
  return () => vi.restoreAllMocks();
});

const scheduleWith = (changes: Partial<PushContext> = {}) =>
  new PushSchedule({ ...stage.context(new Process()), ...changes });

/** The accounts that a minute of the timer queues; it answers their number. */
async function queuedBy(schedule: PushSchedule): Promise<readonly string[]> {
  stage.looks.length = 0;
  expect(await schedule.run({ signal })).toBe(stage.looks.length);
  return [...stage.looks];
}

describe('an account that is to have a subscription', () => {
  it('is queued where it has none, again after ten minutes, and no more once it has one', async () => {
    const schedule = scheduleWith();
    expect(await queuedBy(schedule)).toEqual(['corpus']);
    stage.now += 10 * minuteMs - 1;
    expect(await queuedBy(schedule)).toEqual([]);
    stage.now += 1;
    expect(await queuedBy(schedule)).toEqual(['corpus']);
    await tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
    stage.now += 10 * minuteMs;
    expect(await queuedBy(schedule)).toEqual([]);
  });

  it('is queued once, where several of its folders have none', async () => {
    await tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
    stage.account = accountWith(true, ['inbox', 'archive', 'junkemail']);
    expect(await queuedBy(scheduleWith())).toEqual(['corpus']);
  });

  it('is not queued where Graph cannot call the app', async () => {
    expect(await queuedBy(scheduleWith({ publicUrl: undefined }))).toEqual([]);
  });

  it('costs nothing but the look for what is due, where no account has push', async () => {
    stage.account = accountWith(false);
    expect(await queuedBy(scheduleWith())).toEqual([]);
    expect(stage.rows.requests).toBe(1);
  });
});

describe('a subscription that is due', () => {
  beforeEach(() => tendSubscriptions(stage.context(new Process()), 'corpus', { signal }));

  it('is queued once, and again after five minutes where nobody has looked after it', async () => {
    const schedule = scheduleWith();
    stage.now += renewEveryMs - 1;
    expect(await queuedBy(schedule)).toEqual([]);
    stage.now += 1;
    expect(await queuedBy(schedule)).toEqual(['corpus']);
    stage.now += lookMs - 1;
    expect(await queuedBy(schedule)).toEqual([]);
    stage.now += 1;
    expect(await queuedBy(schedule)).toEqual(['corpus']);
  });

  it('is queued by one of two processes that look at the same time', async () => {
    stage.now += renewEveryMs;
    const counts = await Promise.all([scheduleWith(), scheduleWith()].map((each) => each.run({ signal })));
    expect([counts.sort(), stage.looks]).toEqual([[0, 1], ['corpus']]);
  });

  it('is not queued where its row cannot be claimed, since another process has changed it', async () => {
    stage.now += renewEveryMs;
    stage.rows.onWrite = () => Promise.reject(new RowConflict('changed'));
    expect(await queuedBy(scheduleWith())).toEqual([]);
  });

  it('is due by the clock of storage, where its row names a time far ahead', async () => {
    const written = stage.now;
    await stage.change({ dueAt: written + 5 * renewEveryMs, waitMs: renewEveryMs });
    const schedule = scheduleWith();
    stage.now = written + renewEveryMs - 1;
    expect(await queuedBy(schedule)).toEqual([]);
    stage.now = written + renewEveryMs;
    expect(await queuedBy(schedule)).toEqual(['corpus']);
  });
});

describe('where subscriptions of many accounts are due', () => {
  const names = Array.from({ length: 120 }, (_, n) => `account-${n}`);

  beforeEach(async () => {
    await tendSubscriptions(stage.context(new Process()), 'corpus', { signal });
    const { etag: _, ...own } = await stage.row();
    for (const name of names) {
      await insertRow(
        { rows: stage.rows },
        { ...own, key: subscriptionKey(name, folderKey('inbox')), dueAt: stage.now },
      );
    }
    stage.rows.requests = 0;
  });

  it('each row is claimed once, and each account is queued once', async () => {
    expect([...(await queuedBy(scheduleWith({ publicUrl: undefined })))].sort()).toEqual([...names].sort());
    expect(stage.rows.requests).toBe(1 + names.length);
  });

  it('no more are queued once the time for it is over', async () => {
    const end = new AbortController();
    const enqueue = async (name: string) => {
      stage.looks.push(name);
      end.abort();
    };
    await expect(scheduleWith({ enqueue }).run({ signal: end.signal })).rejects.toThrow('abort');
    // Those that are queued at one time.
    expect(stage.looks).toHaveLength(50);
  });

  it('none is looked for where the time is over before', async () => {
    const schedule = scheduleWith({ publicUrl: undefined });
    await expect(schedule.run({ signal: AbortSignal.abort() })).rejects.toThrow('abort');
    expect([stage.looks, stage.rows.requests]).toEqual([[], 0]);
  });
});
