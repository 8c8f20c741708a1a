import { expect, it } from 'vitest';
import { RequeueSchedule } from './requeue-schedule.ts';

const start = 1_800_000_000_000;

function line() {
  const clock = { at: start, now: () => clock.at };
  return { clock, waiting: new RequeueSchedule(clock) };
}

it('gives each mail a time of its own, one behind the other', () => {
  const { waiting } = line();
  const times = Array.from({ length: 5 }, () => waiting.next('corpus', 'perMinute', 3_000, 2_000) - start);
  expect(times).toEqual([3_000, 5_000, 7_000, 9_000, 11_000]);
});

it('keeps accounts, and what they wait for, apart', () => {
  const { waiting } = line();
  for (let count = 0; count < 20; count += 1) waiting.next('corpus', 'perMinute', 0, 2_000);
  expect(waiting.next('corpus', 'connections', 3_000, 100) - start).toBe(3_000);
  expect(waiting.next('other', 'perMinute', 0, 2_000) - start).toBe(1_000);
});

it('begins again once the line is over', () => {
  const { clock, waiting } = line();
  waiting.next('corpus', 'workers', 0, 500);
  clock.at += 60_000;
  expect(waiting.next('corpus', 'workers', 0, 500) - clock.at).toBe(1_000);
});

it('sends nobody away for more than five minutes, and not all of them to the same moment', () => {
  const { waiting } = line();
  const times = Array.from({ length: 10_000 }, () => waiting.next('corpus', 'perMinute', 2_000, 2_000) - start);
  expect(Math.max(...times)).toBeLessThanOrEqual(300_000);
  const seconds = new Map<number, number>();
  for (const time of times) {
    const second = Math.floor(time / 1_000);
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  expect(Math.max(...seconds.values())).toBeLessThan(150);
});
