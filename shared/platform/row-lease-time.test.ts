import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { isAcquired } from './acquired.ts';
import { isLeased, type LeaseKind, LeaseLost, RowLease } from './row-lease.ts';
import { RowConflict } from './rows.ts';

const lapseMs = 30_000;
const kind: LeaseKind = { name: 'test', lapseMs, renewEveryMs: 10_000, ownRow: true, stopsWhenUnsure: false };
const start = Date.UTC(2026, 5, 1);

beforeEach(() => {
  vi.useFakeTimers({ now: start });
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A lease in a row of its own; the clock is that of the timers. */
async function leased(of: Partial<LeaseKind> = {}) {
  const rows = new MemoryRows(() => Date.now());
  const location = { rows, clock: { now: () => Date.now() }, partition: 'p', key: 'k' };
  const acquired = await RowLease.acquire(location, { ...kind, ...of }, undefined);
  const lease = isAcquired(acquired) ? acquired : expect.fail('not acquired');
  const columns = async () => (await rows.get('p', 'k'))?.columns;
  const until = async () => Number((await columns())?.leaseUntil) - start;
  return { rows, location, lease, columns, until };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('the end of a lease', () => {
  const row = (until: number, writtenAt?: number) => ({
    key: 'k',
    etag: 'e',
    columns: { leaseUntil: start + until },
    ...(writtenAt === undefined ? {} : { writtenAt: start + writtenAt }),
  });

  it.each<[string, ReturnType<typeof row>, boolean]>([
    ['two lapses ahead is believed', row(2 * lapseMs), true],
    ['further ahead is not, in a row that was written long ago', row(2 * lapseMs + 1, -lapseMs), false],
    ['further ahead counts one lapse from when the row was written', row(2 * lapseMs + 1, 1 - lapseMs), true],
    ['further ahead is none where nobody knows when it was written', row(2 * lapseMs + 1), false],
    ['that has come is one', row(0, 0), false],
    ['that is about to come is not', row(1, -9 * lapseMs), true],
  ])('%s', (_, read, expected) => {
    expect(isLeased(read, kind, start)).toBe(expected);
  });
});

describe('a lease that is held', () => {
  it('is renewed again and again, also after a time in which storage was away', async () => {
    const { rows, lease, until } = await leased();
    expect(await until()).toBe(lapseMs);
    await pass(10_000);
    expect(await until()).toBe(10_000 + lapseMs);
    rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await pass(20_000);
    expect(await until()).toBe(10_000 + lapseMs);
    rows.onWrite = () => undefined;
    await pass(10_000);
    expect(await until()).toBe(40_000 + lapseMs);
    expect(lease.lost.aborted).toBe(false);
    lease.abandon();
    await pass(60_000);
    expect(await until()).toBe(40_000 + lapseMs);
  });

  it('is renewed by one write at a time, however slow it is', async () => {
    const { rows, lease } = await leased();
    let writes = 0;
    rows.onWrite = async () => {
      writes += 1;
      await new Promise((resolve) => setTimeout(resolve, 35_000));
    };
    await pass(40_000);
    expect(writes).toBe(1);
    await pass(20_000);
    expect(writes).toBe(2);
    lease.abandon();
  });

  it('is closed by whoever writes last: it is renewed no more, and the row’s etag is told', async () => {
    const { rows, lease, until } = await leased();
    await lease.merge({ step: 1 });
    expect(await lease.close()).toBe((await rows.get('p', 'k'))?.etag);
    await pass(60_000);
    expect(await until()).toBe(lapseMs);
  });

  it('is released without its owner, and lapses where that cannot be written', async () => {
    const { lease, columns } = await leased();
    await lease.release();
    expect(await columns()).toEqual({ leaseOwner: '', leaseUntil: 0 });
    const other = await leased();
    other.rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await other.lease.release();
    expect(await other.until()).toBe(lapseMs);
  });
});

describe('a lease that is lost', () => {
  it('because its time is over is so at its end, and not before, where its holder is to stop then', async () => {
    for (const stopsWhenUnsure of [true, false]) {
      const { rows, lease } = await leased({ stopsWhenUnsure });
      rows.onWrite = () => {
        throw new Error('storage is away');
      };
      await pass(lapseMs - 1);
      expect(lease.lost.aborted).toBe(false);
      await pass(1);
      expect(lease.lost.aborted).toBe(stopsWhenUnsure);
      lease.abandon();
    }
  });

  it('to another process is told once, and renewed no more', async () => {
    const { rows, lease, columns } = await leased();
    let told = 0;
    lease.lost.addEventListener('abort', () => {
      told += 1;
    });
    await rows.write('p', [{ kind: 'put', key: 'k', columns: { leaseOwner: 'another', leaseUntil: start } }]);
    await expect(lease.merge({ step: 1 })).rejects.toBeInstanceOf(LeaseLost);
    await expect(lease.merge({ step: 2 })).rejects.toBeInstanceOf(LeaseLost);
    await pass(60_000);
    expect([told, await columns()]).toEqual([1, { leaseOwner: 'another', leaseUntil: start }]);
  });

  it('with its row is lost', async () => {
    const { rows, lease } = await leased();
    await rows.write('p', [{ kind: 'delete', key: 'k' }]);
    await expect(lease.merge({})).rejects.toBeInstanceOf(LeaseLost);
  });
});

describe('a write of a lease', () => {
  it('is tried five times while others change the row', async () => {
    const { rows, lease } = await leased();
    let tries = 0;
    rows.onWrite = async (partition, [first]) => {
      if (first?.kind !== 'merge' || !('own' in first.columns)) return;
      tries += 1;
      await rows.write(partition, [{ kind: 'merge', key: 'k', columns: { others: tries } }]);
    };
    await expect(lease.merge({ own: 1 })).rejects.toBeInstanceOf(RowConflict);
    expect([tries, lease.lost.aborted]).toEqual([5, false]);
    lease.abandon();
  });

  it('that confirms may take half of a lapse', async () => {
    const { rows, lease } = await leased();
    let takes = lapseMs / 2;
    rows.onWrite = () => new Promise((resolve) => setTimeout(resolve, takes));
    const confirm = async () => {
      const confirmed = lease.confirm({}).then(
        () => 'in time',
        (error: unknown) => error,
      );
      await pass(takes);
      return await confirmed;
    };
    // No renewal comes between.
    lease.abandon();
    expect(await confirm()).toBe('in time');
    takes += 1;
    expect(await confirm()).toBeInstanceOf(LeaseLost);
  });

  it('that acquires is refused by a row that is there, and throws what storage throws', async () => {
    const { rows, location, lease } = await leased();
    lease.abandon();
    expect(await RowLease.acquire(location, kind, undefined)).toEqual({ retryAfterMs: lapseMs });
    rows.onWrite = () => {
      throw new Error('storage is away');
    };
    await expect(RowLease.acquire(location, kind, undefined)).rejects.toThrow('storage is away');
  });
});
