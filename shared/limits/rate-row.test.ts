import { describe, expect, it } from 'vitest';
import { changeTokens, noTokensTaken, type OwnTokens, type RateRow, tokenLeaseMs } from './rate-row.ts';

const now = 1_800_000_000_000;
const lease = now + tokenLeaseMs;
/** A minute, and what two clocks may differ by. */
const countsForMs = 62_000;

const own = (fields: Partial<OwnTokens>): OwnTokens => ({
  owner: 'me',
  kept: 0,
  used: new Map(),
  wanted: 0,
  ...fields,
});
const change = (before: RateRow, fields: Partial<OwnTokens>, perMinute = 10) =>
  changeTokens(before, own(fields), perMinute, now);

describe('a process that wants tokens', () => {
  it('gets them under a lease of its own', () => {
    const row = { held: { me: { n: 3, until: lease } }, used: {} };
    expect(change(noTokensTaken, { wanted: 3 })).toMatchObject({ row, granted: 3, corrected: false });
  });

  it('gets what is left of the minute, beside what it keeps', () => {
    const before = { held: { other: { n: 4, until: lease } }, used: { 'other.1.1': { n: 2, at: now - 1 } } };
    const { row, granted } = change(before, { kept: 1, wanted: 5 });
    expect([granted, row.held]).toEqual([3, { other: { n: 4, until: lease }, me: { n: 4, until: lease } }]);
  });

  it('gets none where more are taken than the limit has now', () => {
    const before = { held: {}, used: { a: { n: 8, at: now } } };
    expect(change(before, { wanted: 2 }, 5)).toMatchObject({ granted: 0, row: { held: {}, used: before.used } });
  });

  it('gives back what it held and does not name', () => {
    const before = { held: { me: { n: 9, until: lease } }, used: {} };
    expect(change(before, { wanted: 10 })).toMatchObject({ granted: 10, row: { held: { me: { n: 10 } } } });
    expect(change(before, {}).row).toEqual(noTokensTaken);
    expect(change(before, { kept: 2 }).row.held).toEqual({ me: { n: 2, until: lease } });
  });

  it('reports what it used, and a report that is made twice counts once', () => {
    const used = new Map([['me.1.5', { n: 3, at: now - 5 }]]);
    const first = change(noTokensTaken, { used, wanted: 9 });
    expect(first).toMatchObject({ granted: 7, row: { used: { 'me.1.5': { n: 3, at: now - 5 } } } });
    expect(change({ held: {}, used: first.row.used }, { used, wanted: 9 }).granted).toBe(7);
  });
});

describe('what counts', () => {
  it.each<[string, RateRow, number]>([
    ['a mail that left 62 seconds ago no longer', { held: {}, used: { a: { n: 4, at: now - 62_000 } } }, 10],
    ['one that left a moment later', { held: {}, used: { a: { n: 4, at: now - 61_999 } } }, 6],
    [
      'a token that could have been used 62 seconds ago no longer',
      { held: { a: { n: 4, until: now - 62_000 } }, used: {} },
      10,
    ],
    ['one that could have been used a moment later', { held: { a: { n: 4, until: now - 61_999 } }, used: {} }, 6],
  ])('%s', (_, before, granted) => {
    const after = change(before, { wanted: 10 });
    expect(after.granted).toBe(granted);
    const rest = { held: Object.keys(after.row.held).filter((id) => id !== 'me'), used: Object.keys(after.row.used) };
    expect(rest.held.length + rest.used.length).toBe(granted === 10 ? 0 : 1);
  });

  it('holders of none are left out', () => {
    expect(change({ held: { a: { n: 0, until: lease } }, used: {} }, {}).row).toEqual(noTokensTaken);
  });

  it('by a clock that runs ahead counts as written now', () => {
    const hours = now + 7_200_000;
    const before = { held: { a: { n: 1, until: hours } }, used: { b: { n: 2, at: hours } } };
    const after = { held: { a: { n: 1, until: lease } }, used: { b: { n: 2, at: now } } };
    expect(change(before, {})).toMatchObject({ row: after, corrected: true });
  });

  it('as late as a right clock may say stays as it is', () => {
    const before = {
      held: { a: { n: 1, until: now + 2 * tokenLeaseMs } },
      used: { b: { n: 2, at: now + 2 * countsForMs } },
    };
    expect(change(before, {})).toMatchObject({ row: before, corrected: false });
    expect(change({ ...before, used: { b: { n: 2, at: now + 2 * countsForMs + 1 } } }, {}).corrected).toBe(true);
    expect(change({ ...before, held: { a: { n: 1, until: now + 2 * tokenLeaseMs + 1 } } }, {}).corrected).toBe(true);
  });
});

describe('when to ask again', () => {
  it.each<[string, RateRow, number]>([
    ['soon while somebody holds unused ones', { held: { a: { n: 10, until: now + 1 } }, used: {} }, now + 5_000],
    ['when their lease no longer counts', { held: { a: { n: 10, until: now } }, used: {} }, now + 62_000],
    [
      'when the oldest mail no longer counts',
      { held: {}, used: { a: { n: 9, at: now - 10 }, b: { n: 1, at: now - 30 } } },
      now + 61_970,
    ],
    [
      'when enough no longer count',
      { held: { c: { n: 1, until: now - 40 } }, used: { a: { n: 10, at: now - 10 }, b: { n: 1, at: now - 30 } } },
      now + 61_990,
    ],
    ['at any time, where nothing counts', noTokensTaken, 0],
  ])('%s', (_, before, nextAt) => {
    expect(change(before, {}).nextAt).toBe(nextAt);
  });
});
