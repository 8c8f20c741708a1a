import { afterEach, expect, it, vi } from 'vitest';
import { Refusals } from './refusals.ts';

afterEach(() => vi.restoreAllMocks());

it('notifications that are not of Graph are one line a minute in the log, with how many there were', () => {
  const lines: unknown[] = [];
  vi.spyOn(console, 'warn').mockImplementation((line: unknown) => void lines.push(JSON.parse(String(line))));
  let now = 1_790_000_000_000;
  const refusals = new Refusals({ now: () => now });
  const told = (count: number) => {
    lines.length = 0;
    refusals.note(count);
    return [...lines];
  };
  expect(told(2)).toEqual([{ event: 'push.refused', notifications: 2 }]);
  now += 59_999;
  expect([told(3), told(4)]).toEqual([[], []]);
  now += 1;
  expect(told(1)).toEqual([{ event: 'push.refused', notifications: 8 }]);
  now += 60_000;
  expect(told(1)).toEqual([{ event: 'push.refused', notifications: 1 }]);
});
