import { describe, expect, it } from 'vitest';
import { nextOccurrence, scheduleMistake } from './schedule.ts';

const at = (iso: string) => Date.parse(iso);

describe('scheduleMistake', () => {
  it.each([
    '0 */5 * * * *',
    '*/5 * * * *',
    '0 30 9 * * MON-FRI',
    '0 0 0 1 jan,JUL *',
    '0,30 * * * * *',
    '0 5/10 * * * *',
    '0 0 0 29 2 *',
    '0 0 3 * * Monday-Friday',
    '0 0 3 1 June,December *',
  ])('accepts %s', (schedule) => {
    expect(scheduleMistake(schedule)).toBeUndefined();
  });

  it.each([
    '',
    '* * * *',
    '* * * * * * *',
    '0 60 * * * *',
    '0 0 24 * * *',
    '0 0 0 L * *',
    '0 0 0 ? * 1#2',
    '0 0 0 15W * *',
    '@hourly',
    '0 0 0 31 2 *',
    '0 */0 * * * *',
    '0 10-5 * * * *',
    '0 0 MON * * *',
    '0 0 3 * * Mond',
    '0 0 3 * * 7',
    '00:05:00',
    `0 ${'0,'.repeat(300)}0 * * * *`,
  ])('refuses %s', (schedule) => {
    expect(scheduleMistake(schedule)).toBeTypeOf('string');
  });
});

describe('nextOccurrence', () => {
  it.each([
    ['0 */5 * * * *', '2026-01-01T00:04:59.999Z', '2026-01-01T00:05:00Z'],
    ['0 */5 * * * *', '2026-01-01T00:05:00Z', '2026-01-01T00:10:00Z'],
    ['*/5 * * * *', '2026-01-01T00:05:00.001Z', '2026-01-01T00:10:00Z'],
    ['0 30 9 * * MON-FRI', '2026-01-02T10:00:00Z', '2026-01-05T09:30:00Z'],
    // Day of month and day of week must both hold: the next Friday the 13th.
    ['0 0 0 13 * 5', '2026-01-01T00:00:00Z', '2026-02-13T00:00:00Z'],
    // UTC knows no missing hour: here a European clock skips from 2 to 3.
    ['0 30 2 * * *', '2026-03-29T00:00:00Z', '2026-03-29T02:30:00Z'],
    ['0 0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 0 1 Dec sunday', '2026-01-01T00:00:00Z', '2030-12-01T00:00:00Z'],
  ])('of %s after %s is %s', (schedule, after, expected) => {
    expect(nextOccurrence(schedule, at(after))).toBe(at(expected));
  });
});
