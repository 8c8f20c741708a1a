import { describe, expect, it, vi } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import type { RangeOptions, Row } from '../platform/rows.ts';
import type { Fact } from './count-rows.ts';
import { DayCounts } from './day-counts.ts';
import { dayStats, tidyStats } from './stats.ts';

const options = { signal: new AbortController().signal };
const noon = Date.UTC(2026, 10, 29, 12);
const dayMs = 86_400_000;
const account = 'corpus';
const clock = { now: () => noon };

/** Writes facts as whoever makes them true does, each in a transaction of its own. */
async function record(rows: MemoryRows, facts: readonly Fact[]): Promise<void> {
  const counts = new DayCounts(rows);
  for (const fact of facts) await rows.write(account, [counts.row(account, fact)]);
}

const sent = (count: number, at = noon): Fact[] =>
  Array.from({ length: count }, () => ({ at, sent: 1, delaySeconds: 2 }));

/** How many were sent on each day, newest first. */
async function sentPerDay(rows: MemoryRows, days = 1): Promise<readonly number[]> {
  const stats = await dayStats({ clock, counts: [new DayCounts(rows)] }, [account], { days, ...options });
  return stats.map((day) => day.sent);
}

describe('counts', () => {
  it('are those of their days in UTC, whether they are added up or not', async () => {
    const rows = new MemoryRows();
    const midnight = Date.UTC(2026, 10, 29);
    await record(rows, [
      { at: midnight - 1, imported: 23, bytes: 5_000 },
      { at: midnight, imported: 1, bytes: 10, quarantined: 2 },
      { at: noon, accepted: 1 },
      ...sent(200),
      { at: noon, failed: 1 },
      { at: noon, uncertain: 1 },
      { at: noon, bounced: 1 },
      { at: midnight - 40 * dayMs, sent: 1 },
    ]);
    const read = () => dayStats({ clock, counts: [new DayCounts(rows)] }, [account], { days: 3, ...options });
    const none = { imported: 0, bytes: 0, quarantined: 0, accepted: 0, sent: 0, failed: 0, uncertain: 0, bounced: 0 };
    const noDelays = { backlog: null, medianSeconds: null, p95Seconds: null };
    const expected = [
      {
        ...{ day: '2026-11-29', imported: 1, bytes: 10, quarantined: 2, accepted: 1, sent: 200 },
        ...{
          failed: 1,
          uncertain: 1,
          bounced: 1,
          backlog: null,
          medianSeconds: expect.closeTo(2, 1),
          p95Seconds: expect.closeTo(2, 1),
        },
      },
      { ...none, ...noDelays, day: '2026-11-28', imported: 23, bytes: 5_000 },
      { ...none, ...noDelays, day: '2026-11-27' },
    ];
    expect(await read()).toEqual(expected);
    await new DayCounts(rows).addUp(account, options);
    expect(rows.keys(account, 't:new:')).toEqual([]);
    expect(rows.keys(account)).toEqual(['t:day:2026-10-20', 't:day:2026-11-28', 't:day:2026-11-29']);
    expect(await read()).toEqual(expected);
  });

  it('have beside them what was left on each day, which adding up leaves alone and which goes with its day', async () => {
    const rows = new MemoryRows();
    const counts = new DayCounts(rows);
    const left = async () => {
      const stats = await dayStats({ clock, counts: [counts, new DayCounts(new MemoryRows())] }, [account, 'other'], {
        ...{ days: 3, ...options },
      });
      return stats.map(({ backlog, sent }) => [backlog, sent]);
    };
    await counts.noteBacklog(account, noon - dayMs, 7);
    await counts.noteBacklog(account, noon, 40);
    await record(rows, sent(150));
    // The last one of the day counts.
    await counts.noteBacklog(account, noon + 1, 12);
    await counts.noteBacklog('other', noon, 5);
    await counts.noteBacklog(account, noon - 91 * dayMs, 3);
    const expected = [
      [17, 150],
      [7, 0],
      [null, 0],
    ];
    expect(await left()).toEqual(expected);
    await tidyStats({ clock, counts: [counts] }, account, options);
    expect(await left()).toEqual(expected);
    expect(rows.keys(account)).toEqual(['t:day:2026-11-28:left', 't:day:2026-11-29', 't:day:2026-11-29:left']);
  });

  it('of several accounts and tables are summed, and their delays with them', async () => {
    const tables = [new MemoryRows(), new MemoryRows()];
    for (const rows of tables) {
      for (const name of ['one', 'two']) {
        const counts = new DayCounts(rows);
        await rows.write(name, [counts.row(name, { at: noon, sent: 1, delaySeconds: name === 'one' ? 1 : 100 })]);
      }
    }
    const counts = tables.map((rows) => new DayCounts(rows));
    const [today] = await dayStats({ clock, counts }, ['one', 'two'], { days: 1, ...options });
    expect(today).toMatchObject({ sent: 4, medianSeconds: expect.closeTo(1, 1) });
    expect(today?.p95Seconds).toBeGreaterThan(95);
  });

  it('cost at most 0.04 transactions a fact to add up', async () => {
    const rows = new MemoryRows();
    await record(rows, sent(499));
    let transactions = 0;
    rows.onWrite = () => {
      transactions += 1;
    };
    const range = vi.spyOn(rows, 'range');
    await new DayCounts(rows).addUp(account, options);
    expect(rows.keys(account)).toEqual(['t:day:2026-11-29']);
    expect(transactions + range.mock.calls.length).toBeLessThanOrEqual(499 * 0.04);
  });

  it('that are few are left as they are, and are read all the same', async () => {
    const rows = new MemoryRows();
    await record(rows, sent(99));
    await new DayCounts(rows).addUp(account, options);
    expect(rows.keys(account, 't:new:')).toHaveLength(99);
    expect(await sentPerDay(rows)).toEqual([99]);
  });

  it('are added up by whoever writes many, without being asked', async () => {
    const rows = new MemoryRows();
    const counts = new DayCounts(rows);
    for (const fact of sent(650)) await rows.write(account, [counts.row(account, fact)]);
    await vi.waitFor(() => expect(rows.keys(account, 't:day:')).toHaveLength(1), { timeout: 90_000 });
    await vi.waitFor(() => expect(rows.keys(account, 't:new:').length).toBeLessThan(200), { timeout: 90_000 });
    expect(await sentPerDay(rows)).toEqual([650]);
  });

  it('of many days are added up, each to its own', async () => {
    const rows = new MemoryRows();
    await record(
      rows,
      Array.from({ length: 300 }, (_, n) => ({ at: noon - (n % 80) * dayMs, sent: 1 })),
    );
    const before = await sentPerDay(rows, 90);
    expect(before.slice(0, 2)).toEqual([4, 4]);
    rows.onWrite = (_, writes) => expect(writes.length).toBeLessThanOrEqual(100);
    await new DayCounts(rows).addUp(account, options);
    expect(rows.keys(account, 't:new:')).toEqual([]);
    expect(await sentPerDay(rows, 90)).toEqual(before);
  });
});

describe('adding up', () => {
  it('that ends at any of its writes loses nothing and counts nothing twice', async () => {
    for (let writesBefore = 0; writesBefore < 4; writesBefore += 1) {
      const rows = new MemoryRows();
      await record(rows, sent(350));
      let left = writesBefore;
      rows.onWrite = () => {
        if (left === 0) throw new Error('gone');
        left -= 1;
      };
      await expect(new DayCounts(rows).addUp(account, options)).rejects.toThrow('gone');
      rows.onWrite = () => undefined;
      expect(await sentPerDay(rows)).toEqual([350]);
      await record(rows, sent(100));
      await new DayCounts(rows).addUp(account, options);
      expect(await sentPerDay(rows)).toEqual([450]);
    }
  });

  it('that stands still before any of its writes while others add up counts nothing twice when it goes on', async () => {
    for (let standsBefore = 0; standsBefore < 4; standsBefore += 1) {
      const rows = new MemoryRows();
      await record(rows, sent(350));
      let left = standsBefore;
      rows.onWrite = async () => {
        left -= 1;
        if (left !== -1) return;
        await new DayCounts(rows).addUp(account, options);
        await record(rows, sent(150));
        await new DayCounts(rows).addUp(account, options);
      };
      await new DayCounts(rows).addUp(account, options);
      expect(left).toBeLessThan(0);
      expect(await sentPerDay(rows)).toEqual([500]);
    }
  });

  it('by several at one time counts each fact once', async () => {
    const rows = new MemoryRows();
    await record(rows, sent(2_300));
    await Promise.all(Array.from({ length: 4 }, () => new DayCounts(rows).addUp(account, options)));
    expect(await sentPerDay(rows)).toEqual([2_300]);
  });

  it('while somebody reads page by page takes nothing from what is read, and adds nothing', async () => {
    const rows = new PagedRows();
    await record(rows, sent(1_400));
    let interfered = 0;
    rows.betweenPages = async () => {
      if (interfered > 0) return;
      interfered += 1;
      rows.betweenPages = async () => undefined;
      await new DayCounts(rows).addUp(account, options);
    };
    expect(await sentPerDay(rows)).toEqual([1_400]);
    expect(interfered).toBe(1);
  });
});

/** Reads 1,000 rows at a time, as storage does: what is written between two pages is seen by the second. */
class PagedRows extends MemoryRows {
  betweenPages: () => Promise<void> = async () => undefined;

  override async *range(
    partition: string,
    from: string,
    before: string,
    range: RangeOptions = {},
  ): AsyncGenerator<Row> {
    let next = from;
    for (let left = range.top ?? Number.POSITIVE_INFINITY; left > 0; ) {
      let read = 0;
      for await (const row of super.range(partition, next, before, { ...range, top: Math.min(1_000, left) })) {
        read += 1;
        next = `${row.key}!`;
        yield row;
      }
      if (read < 1_000) return;
      left -= read;
      await this.betweenPages();
    }
  }
}

describe('tidying', () => {
  it('removes days that nobody can ask for any more', async () => {
    const rows = new MemoryRows();
    await record(rows, [...sent(100), ...sent(100, noon - 89 * dayMs), ...sent(100, noon - 91 * dayMs)]);
    await tidyStats({ clock, counts: [new DayCounts(rows)] }, account, options);
    expect(rows.keys(account)).toEqual(['t:day:2026-09-01', 't:day:2026-11-29']);
  });
});
