import { describe, expect, it } from 'vitest';
import { changeSlots, noSlotsTaken, type OwnSlots, type SlotRow, slotRowSchema, surplusOf } from './slot-row.ts';

const now = 1_800_000_000_000;
const leaseMs = 30_000;
const lease = now + leaseMs;

const holder = (n: number, since = now - 1_000, until = now + 20_000) => ({ n, since, until });
const mark = (since = now - 1_000, until = now + 11_000) => ({ since, until });
const row = (holders: SlotRow['holders'], waiting: SlotRow['waiting'] = {}): SlotRow => ({ holders, waiting });
const own = (fields: Partial<OwnSlots>): OwnSlots => ({ owner: 'me', held: 0, wanted: 0, renew: false, ...fields });

describe('a process that wants slots', () => {
  it('gets them under a lease of its own', () => {
    const row = { holders: { me: { n: 2, since: now, until: lease } }, waiting: {} };
    expect(changeSlots(noSlotsTaken, own({ wanted: 2 }), 5, now)).toEqual({ row, dirty: true, granted: 2 });
  });

  it('keeps what it holds, since when it holds it, and the others’ leases', () => {
    const before = row({ me: holder(1, now - 9_000), other: holder(2) });
    const change = changeSlots(before, own({ held: 1, wanted: 1 }), 5, now);
    expect(change).toMatchObject({ granted: 1, dirty: true });
    expect(change.row.holders).toEqual({ me: { n: 2, since: now - 9_000, until: lease }, other: holder(2) });
  });

  it('keeps what it holds where the row knows nothing of it any more', () => {
    expect(changeSlots(row({}), own({ held: 2 }), 5, now).row.holders).toEqual({
      me: { n: 2, since: now, until: lease },
    });
  });

  it('begins anew after a break', () => {
    const { row: after } = changeSlots(row({ me: holder(1, now - 9_000) }), own({ wanted: 1 }), 5, now);
    expect(after.holders.me).toEqual({ n: 1, since: now, until: lease });
  });

  it('gets what is free, what it has just released among it, and waits for the rest', () => {
    const change = changeSlots(row({ me: holder(3), other: holder(3) }), own({ held: 1, wanted: 5 }), 6, now);
    expect(change).toMatchObject({ granted: 2, dirty: true });
    expect(change.row).toMatchObject({
      holders: { me: { n: 3 } },
      waiting: { me: { since: now, until: now + 12_000 } },
    });
  });

  it('gets none where the limit was lowered below what is taken', () => {
    const all = row({ other: holder(5) }, { third: mark() });
    expect(changeSlots(all, own({ wanted: 2 }), 3, now)).toMatchObject({ granted: 0 });
    expect(changeSlots(row({ other: holder(5) }), own({ wanted: 2 }), 3, now)).toMatchObject({ granted: 0 });
  });

  it('waits since it first did, and says so again only when half of its mark is over', () => {
    const full = (until: number) => row({ other: holder(2) }, { me: mark(now - 4_000, until) });
    const change = (until: number) => changeSlots(full(until), own({ wanted: 1 }), 2, now);
    expect(change(now + 6_000)).toMatchObject({
      dirty: false,
      row: { waiting: { me: mark(now - 4_000, now + 6_000) } },
    });
    const renewed = { since: now - 4_000, until: now + 12_000 };
    expect(change(now + 5_999)).toMatchObject({ dirty: true, row: { waiting: { me: renewed } } });
  });

  it('no longer waits once it has what it wants; one that wants nothing now is still remembered', () => {
    const waiting = row({}, { me: mark() });
    expect(changeSlots(waiting, own({ wanted: 1 }), 2, now)).toMatchObject({ dirty: true });
    expect(changeSlots(waiting, own({ wanted: 1 }), 2, now).row.waiting).toEqual({});
    expect(changeSlots(waiting, own({}), 2, now)).toEqual({ row: waiting, dirty: false, granted: 0 });
  });
});

describe('a row is written', () => {
  it.each<[string, SlotRow, Partial<OwnSlots>, boolean]>([
    ['not for a process that has and wants nothing', row({}), { renew: true }, false],
    ['not for one that keeps what it holds', row({ me: holder(2) }), { held: 2 }, false],
    ['for a renewal', row({ me: holder(2) }), { held: 2, renew: true }, true],
    ['for a release', row({ me: holder(2) }), { held: 1 }, true],
    ['for the last release', row({ me: holder(2) }), {}, true],
    ['where more is held than it says', row({ me: holder(1) }), { held: 2 }, true],
  ])('%s', (_, before, process, dirty) => {
    const change = changeSlots(before, own(process), 5, now);
    expect(change.dirty).toBe(dirty);
    expect(change.row.holders.me?.n ?? 0).toBe(process.held ?? 0);
  });
});

describe('what has lapsed', () => {
  it.each<[string, SlotRow, number]>([
    ['a lease that ended three seconds ago', row({ other: holder(2, 0, now - 3_000) }), 2],
    ['a lease that ended a moment less ago is still one', row({ other: holder(2, 0, now - 2_999) }), 0],
    ['a holder of none', row({ other: holder(0), third: holder(1) }), 1],
    ['a mark that ends now', row({ third: holder(1) }, { other: mark(0, now) }), 1],
    ['a mark that ends a moment later is still one', row({ third: holder(1) }, { other: mark(0, now + 1) }), 0],
  ])('%s', (_, before, granted) => {
    expect(changeSlots(before, own({ wanted: 2 }), 2, now).granted).toBe(granted);
  });

  it('is left out of the row', () => {
    const before = row({ gone: holder(1, 0, now - 3_000), none: holder(0) }, { gone: mark(0, now) });
    expect(changeSlots(before, own({ wanted: 1 }), 2, now).row).toEqual(row({ me: holder(1, now, lease) }));
  });

  it('by a clock that runs ahead counts from now on', () => {
    const hours = 7_200_000;
    const before = row({ ahead: holder(1, now + hours, now + hours) }, { ahead: mark(now + hours, now + hours) });
    const after = row({ ahead: { n: 1, since: now, until: lease } }, { ahead: { since: now, until: now + 12_000 } });
    expect(changeSlots(before, own({}), 2, now)).toEqual({ row: after, dirty: true, granted: 0 });
    const since = row({ ahead: holder(1, now - 5, now + hours) });
    expect(changeSlots(since, own({}), 2, now).row.holders.ahead?.since).toBe(now - 5);
  });

  it('is not what ends as late as a right clock may say', () => {
    const before = row({ other: holder(1, now, now + 2 * leaseMs) }, { other: mark(now, now + 24_000) });
    expect(changeSlots(before, own({}), 2, now)).toEqual({ row: before, dirty: false, granted: 0 });
    const late = row({ other: holder(1, now, now + 2 * leaseMs + 1) });
    expect(changeSlots(late, own({}), 2, now)).toMatchObject({ dirty: true });
    const lateMark = row({}, { other: mark(now, now + 24_001) });
    expect(changeSlots(lateMark, own({}), 2, now)).toMatchObject({ dirty: true });
  });
});

describe('while others wait', () => {
  it.each<[string, SlotRow, Partial<OwnSlots>, number, number]>([
    ['one gets its share at most', row({ a: holder(2) }, { b: mark() }), { wanted: 5 }, 6, 2],
    ['one gets none above its share', row({ me: holder(2) }, { b: mark() }), { held: 2, wanted: 1 }, 5, 0],
    [
      'one that waits shorter leaves them theirs',
      row({ a: holder(2) }, { b: mark(now - 200), me: mark(now - 100) }),
      { wanted: 1 },
      3,
      0,
    ],
    [
      'one that waits longer goes first',
      row({ a: holder(2) }, { b: mark(now - 100), me: mark(now - 200) }),
      { wanted: 1 },
      3,
      1,
    ],
    [
      'one that waits as long need not stand back',
      row({ a: holder(2) }, { b: mark(now - 200), me: mark(now - 200) }),
      { wanted: 1 },
      3,
      1,
    ],
    ['one that comes new stands back', row({ a: holder(2) }, { b: mark() }), { wanted: 1 }, 3, 0],
    [
      'there is a slot for each, as few as there are',
      row({}, { a: mark(), b: mark(), c: mark(), me: mark(now - 9_000) }),
      { wanted: 2 },
      2,
      1,
    ],
    ['but have their share, one gets all that is free', row({ b: holder(2) }, { b: mark() }), { wanted: 5 }, 5, 3],
    ['its own mark does not stand in its way', row({ a: holder(1) }, { me: mark() }), { wanted: 4 }, 5, 4],
  ])('%s', (_, before, process, total, granted) => {
    expect(changeSlots(before, own(process), total, now).granted).toBe(granted);
  });
});

describe('the surplus of a process', () => {
  it.each<[string, SlotRow, number, number]>([
    ['is nothing where it holds none', row({ other: holder(9) }, { third: mark() }), 2, 0],
    ['is nothing where nobody waits', row({ me: holder(5) }), 5, 0],
    ['is what it has above a lowered limit', row({ me: holder(3) }), 2, 1],
    ['is no more than it has', row({ me: holder(1), other: holder(5) }), 4, 1],
    ['is nothing where there is a free slot for each that waits', row({ me: holder(3) }, { b: mark() }), 4, 0],
    ['is what it has above its share where there is none', row({ me: holder(3) }, { b: mark() }), 3, 2],
    ['is as much where one too few is free', row({ me: holder(3) }, { b: mark(), c: mark() }), 4, 2],
    ['is the larger of the two, its share', row({ me: holder(5) }, { b: mark() }), 2, 4],
    ['is the larger of the two, the limit', row({ me: holder(3), a: holder(9) }, { b: mark() }), 4, 3],
    ['is nothing for the sake of one that has its share', row({ me: holder(3), b: holder(2) }, { b: mark() }), 5, 0],
    ['is nothing for the sake of one whose mark lapsed', row({ me: holder(2) }, { b: mark(0, now) }), 2, 0],
    ['counts no lapsed holders', row({ me: holder(2), a: holder(1, 0, now - 3_000) }, { b: mark() }), 3, 0],
  ])('%s', (_, whole, total, surplus) => {
    expect(surplusOf(whole, 'me', total, now)).toBe(surplus);
  });

  const turn = now - 5_000;
  it.each<[string, SlotRow, number]>([
    ['its only one, if it has held longest', row({ me: holder(1, turn), a: holder(1, turn + 1) }, { b: mark() }), 1],
    ['not before its turn is over', row({ me: holder(1, turn + 1), a: holder(1, now) }, { b: mark() }), 0],
    ['not while another has held longer', row({ me: holder(1, turn - 1), a: holder(1, turn - 2) }, { b: mark() }), 0],
    ['whatever its name', row({ me: holder(1, turn - 1), z: holder(1, turn - 2) }, { b: mark() }), 0],
    [
      'of two that have held as long, the first by name gives',
      row({ me: holder(1, turn), z: holder(1, turn) }, { b: mark() }),
      1,
    ],
    ['wherever it stands', row({ z: holder(1, turn), me: holder(1, turn) }, { b: mark() }), 1],
    ['and the other one not', row({ a: holder(1, turn), me: holder(1, turn) }, { b: mark() }), 0],
    ['wherever it stands', row({ me: holder(1, turn), a: holder(1, turn) }, { b: mark() }), 0],
    [
      'not while another has more than its share',
      row({ me: holder(1, turn), a: holder(2) }, { b: mark(), c: mark() }),
      0,
    ],
  ])('where nobody has more than its share: %s', (_, whole, surplus) => {
    const total = Object.values(whole.holders).reduce((sum, { n }) => sum + n, 0);
    expect(surplusOf(whole, 'me', total, now)).toBe(surplus);
  });
});

it.each([
  { holders: {}, waiting: {} },
  { holders: { a: { n: 0, since: 1.5, until: 2 } }, waiting: { b: { since: 1, until: 2 } } },
])('%j is a row', (value) => {
  expect(slotRowSchema.parse(value)).toEqual(value);
});
