import { describe, expect, test } from 'vitest';
import { parseSchedule } from './schedule.ts';
import { parseTimeSpan } from './time-span.ts';
import { checkPastDue, statusJson } from './timer-status.ts';

const at = (text: string) => Date.parse(text);
const next = (schedule: string, from: string) => {
  const time = parseSchedule(schedule).next(at(from));
  return time === undefined ? undefined : new Date(time).toISOString().replace('.000', '');
};

describe('NCRONTAB', () => {
  test.each([
    ['0 */5 * * * *', '2026-11-23T00:00:00Z', '2026-11-23T00:05:00Z'],
    ['*/5 * * * *', '2026-11-23T00:01:00Z', '2026-11-23T00:05:00Z'],
    ['* * * * * *', '2026-11-23T00:00:00.500Z', '2026-11-23T00:00:01Z'],
    ['0 30 9 * * Mon-Fri', '2026-11-27T10:00:00Z', '2026-11-30T09:30:00Z'],
    ['0 0 0 1 January *', '2026-11-23T00:00:00Z', '2027-01-01T00:00:00Z'],
    // Both must fit: Friday the 13th, where cron would take every Friday and every 13th.
    ['0 0 0 13 * 5', '2026-11-23T00:00:00Z', '2027-08-13T00:00:00Z'],
    ['0 0 0 */2 * 1-6', '2026-11-23T00:00:00Z', '2026-11-25T00:00:00Z'],
    ['0 5/20 * * * *', '2026-11-23T00:46:00Z', '2026-11-23T01:05:00Z'],
    // A range given backwards is turned round, not wrapped.
    ['0 0 22-2 * * *', '2026-11-23T22:00:00Z', '2026-11-24T02:00:00Z'],
    ['0 0 0 29 2 *', '2026-11-23T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 0 30 2 *', '2026-11-23T00:00:00Z', undefined],
    ['0 0 0 * * SUN,wednesday', '2026-11-23T00:00:00Z', '2026-11-25T00:00:00Z'],
  ])('%s after %s', (schedule, from, expected) => {
    expect(next(schedule, from)).toBe(expected);
  });

  test.each([
    '',
    '* * * *',
    '* * * * * * *',
    '60 * * * * *',
    '0 0 24 * * *',
    '0 0 0 0 * *',
    '0 0 0 * 13 *',
    '0 0 0 * * 7',
    '0 0 0 L * *',
    '0 0 0 ? * *',
    '0 0 0 * * 5#2',
    '0 */0 * * * *',
    '0 1,,2 * * * *',
    '@daily',
    '0 0 0 * * Mo',
    '00:05:00',
  ])('refuses "%s"', (schedule) => {
    expect(() => parseSchedule(schedule)).toThrow();
  });

  test.each([
    ['*/5 * * * * *', true],
    ['* * * * * *', true],
    ['0 * * * * *', false],
    ['0 */5 * * * *', false],
    ['* 30 * * * *', false],
    ['* * * * *', false],
  ])('%s is very frequent: %s', (schedule, expected) => {
    expect(parseSchedule(schedule).veryFrequent).toBe(expected);
  });
});

test.each([
  ['00:01:00', 60_000],
  ['01:00', 3_600_000],
  ['1.02:03:04.5', 93_784_500],
  ['7', 604_800_000],
  ['24:00:00', 2_073_600_000],
  ['-00:00:01', -1_000],
  ['00:60:00', undefined],
  ['1:2:3:4:5', undefined],
  ['x', undefined],
  ['', undefined],
])('TimeSpan %s', (text, expected) => {
  expect(parseTimeSpan(text)).toBe(expected);
});

describe('past due', () => {
  const hourly = parseSchedule('0 0 * * * *');
  const now = at('2026-11-23T10:30:00Z');
  const status = (last: string | undefined, nextText: string, lastUpdated: string) => ({
    last: last === undefined ? undefined : at(last),
    next: at(nextText),
    lastUpdated: at(lastUpdated),
  });

  test('nothing known: noted, not due', () => {
    expect(checkPastDue(undefined, hourly, now)).toEqual({
      status: { last: undefined, next: at('2026-11-23T11:00:00Z'), lastUpdated: now },
      changed: true,
      pastDue: false,
    });
  });

  test('missed since: due once', () => {
    const known = status('2026-11-23T07:00:00Z', '2026-11-23T08:00:00Z', '2026-11-23T07:00:00Z');
    expect(checkPastDue(known, hourly, now)).toEqual({ status: known, changed: false, pastDue: true });
  });

  test('noted but never run, and missed: due', () => {
    const known = status(undefined, '2026-11-23T08:00:00Z', '2026-11-23T07:10:00Z');
    expect(checkPastDue(known, hourly, now).pastDue).toBe(true);
  });

  test('another schedule than the one noted: not due, counted anew', () => {
    const known = status('2026-11-23T07:00:00Z', '2026-11-23T07:05:00Z', '2026-11-23T07:00:00Z');
    expect(checkPastDue(known, hourly, now)).toEqual({
      status: { last: undefined, next: at('2026-11-23T11:00:00Z'), lastUpdated: now },
      changed: true,
      pastDue: false,
    });
  });

  test('the status is written as Azure writes it', () => {
    expect(statusJson({ last: undefined, next: at('2026-11-23T11:00:00Z'), lastUpdated: now + 5 })).toEqual({
      Last: '0001-01-01T00:00:00+00:00',
      Next: '2026-11-23T11:00:00+00:00',
      LastUpdated: '2026-11-23T10:30:00.005+00:00',
    });
  });
});
