import { TableClient } from '@azure/data-tables';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { isAcquired } from './acquired.ts';
import { isLeased, type LeaseKind, LeaseLost, RowLease } from './row-lease.ts';
import { RowConflict, RowTable } from './rows.ts';

const lapseMs = 30_000;
const hoursAhead = 2 * 3_600_000;
const kind: LeaseKind = { name: 'test', lapseMs, renewEveryMs: 25, ownRow: true, stopsWhenUnsure: false };

let azurite: Azurite;
let client: TableClient;

beforeAll(async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  azurite = await startAzurite();
  client = TableClient.fromConnectionString(azurite.connectionString, 'leases', { allowInsecureConnection: true });
  await client.createTable();
});
afterAll(() => azurite?.stop());

const held: RowLease[] = [];
afterEach(() => {
  for (const lease of held.splice(0)) lease.abandon();
});

let rows = 0;
/** A process of its own with a clock of its own, and one row for all of a test. */
function site() {
  rows += 1;
  const key = `row${rows}`;
  return (skewMs = 0) => {
    const process = {
      away: false,
      skewMs,
      table: new (class extends RowTable {
        override async write(...args: Parameters<RowTable['write']>) {
          if (process.away) throw new Error('storage is away');
          return await super.write(...args);
        }
      })(async () => client),
      now: () => Date.now() + process.skewMs,
      row: () => process.table.get('p', key),
      async leased() {
        return isLeased(await process.row(), kind, process.now());
      },
      async acquire(columns = {}, of: LeaseKind = kind) {
        const row = await process.row();
        if (isLeased(row, of, process.now())) return undefined;
        const location = { rows: process.table, clock: process, partition: 'p', key };
        const lease = await RowLease.acquire(location, of, row, columns);
        if (!isAcquired(lease)) return undefined;
        held.push(lease);
        return lease;
      },
      put: (columns: Record<string, string | number>) => process.table.write('p', [{ kind: 'merge', key, columns }]),
      key,
    };
    return process;
  };
}

async function leaseOf(process: ReturnType<ReturnType<typeof site>>, of?: LeaseKind): Promise<RowLease> {
  return (await process.acquire({}, of)) ?? expect.fail('the lease is not free');
}

describe('a lease', () => {
  it('is one process’s, of however many that ask at once', async () => {
    const start = site();
    const got = await Promise.all(Array.from({ length: 8 }, () => start().acquire()));
    expect(got.filter((lease) => lease !== undefined)).toHaveLength(1);
    expect(await start().acquire()).toBeUndefined();
  });

  it('is renewed, and free again once it is released', async () => {
    const start = site();
    const [one, two] = [start(), start()];
    const lease = await leaseOf(one);
    const until = (await one.row())?.columns.leaseUntil;
    await expect.poll(async () => (await one.row())?.columns.leaseUntil).toBeGreaterThan(Number(until));
    await lease.release();
    expect(await two.acquire()).toBeDefined();
    expect(lease.lost.aborted).toBe(false);
  });

  it('that lapsed and was taken is lost: nothing is written by it any more', async () => {
    const start = site();
    const [one, two] = [start(), start(lapseMs + 1_000)];
    const zombie = await leaseOf(one);
    await zombie.merge({ step: 1 });
    zombie.abandon();
    const taken = await leaseOf(two);
    const { key } = one;
    await expect(zombie.merge({ step: 2 })).rejects.toBeInstanceOf(LeaseLost);
    await expect(zombie.finish((etag) => [{ kind: 'delete', key, etag }])).rejects.toBeInstanceOf(LeaseLost);
    await zombie.release();
    expect(zombie.lost.reason).toBeInstanceOf(LeaseLost);
    expect((await two.row())?.columns.leaseOwner).toBe(taken.owner);
    await taken.merge({ step: 3 });
  });

  it('is not confirmed by a write whose answer came late: the process may have stood still meanwhile', async () => {
    const one = site()();
    const lease = await leaseOf(one);
    await lease.confirm({ step: 1 });
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValueOnce(now - lapseMs);
    await expect(lease.confirm({ step: 2 })).rejects.toBeInstanceOf(LeaseLost);
    clock.mockRestore();
    expect((await one.row())?.columns.step).toBe(2);
  });

  it('that was taken and released again is not taken for its own', async () => {
    const start = site();
    const [one, two] = [start(), start(lapseMs + 1_000)];
    const zombie = await leaseOf(one);
    zombie.abandon();
    const taken = await leaseOf(two);
    const { key } = one;
    await taken.finish((etag) => [{ kind: 'replace', key, columns: { ended: 'uncertain' }, etag }]);
    const sent = zombie.finish((etag) => [{ kind: 'replace', key, columns: { ended: 'sent' }, etag }]);
    await expect(sent).rejects.toBeInstanceOf(LeaseLost);
    expect((await one.row())?.columns).toEqual({ ended: 'uncertain' });
  });

  it('survives what others write into its row', async () => {
    const one = site()();
    const lease = await leaseOf(one);
    await one.put({ other: 1 });
    await lease.merge({ own: 2 });
    expect((await one.row())?.columns).toMatchObject({ other: 1, own: 2 });
  });

  it('is lost when it cannot be renewed in time, where its holder is to stop then', async () => {
    const one = site()();
    const lease = await leaseOf(one, { ...kind, stopsWhenUnsure: true });
    const other = site()();
    const goesOn = await leaseOf(other);
    one.away = true;
    other.away = true;
    one.skewMs = lapseMs + 1;
    other.skewMs = lapseMs + 1;
    await expect.poll(() => lease.lost.aborted).toBe(true);
    expect(goesOn.lost.aborted).toBe(false);
  });
});

describe('the edges of a lease', () => {
  const location = (process: ReturnType<ReturnType<typeof site>>) => ({
    rows: process.table,
    clock: process,
    partition: 'p',
    key: process.key,
  });

  it('is unavailable for one lapse where the row was written since it was read', async () => {
    const process = site()();
    await process.table.write('p', [{ kind: 'insert', key: process.key, columns: { step: 1 } }]);
    const row = await process.row();
    await process.put({ step: 2 });
    expect(await RowLease.acquire(location(process), kind, row)).toEqual({ retryAfterMs: lapseMs });
    expect((await process.row())?.columns).toEqual({ step: 2 });
  });

  it.each([
    [true, { step: 2 }],
    [false, { other: 1, step: 2 }],
  ])('with a row of its own (%s) acquiring leaves %j', async (ownRow, left) => {
    const process = site()();
    await process.table.write('p', [{ kind: 'insert', key: process.key, columns: { other: 1 } }]);
    await leaseOf(process, { ...kind, ownRow });
    const lease = held.at(-1) ?? expect.fail('no lease');
    await lease.merge({ step: 2 });
    const { leaseOwner, leaseUntil, ...columns } = (await process.row())?.columns ?? {};
    expect([leaseOwner, typeof leaseUntil]).toEqual([lease.owner, 'number']);
    expect(columns).toEqual(left);
  });

  it('ends exactly when its time is over, and is none in a row without one', async () => {
    const process = site()();
    const lease = await leaseOf(process, { ...kind, renewEveryMs: 3_600_000 });
    const row = await process.row();
    const until = Number(row?.columns.leaseUntil);
    expect([isLeased(row, kind, until - 1), isLeased(row, kind, until)]).toEqual([true, false]);
    expect(isLeased(undefined, kind, 0)).toBe(false);
    await lease.release();
    await lease.release();
    expect(await process.leased()).toBe(false);
    expect(lease.lost.aborted).toBe(false);
  });

  it('writes one after the other, though they are asked for at once', async () => {
    const process = site()();
    const lease = await leaseOf(process);
    await Promise.all(Array.from({ length: 10 }, (_, step) => lease.merge({ [`step${step}`]: step })));
    const { columns } = (await process.row()) ?? expect.fail('no row');
    expect(Object.keys(columns).filter((name) => name.startsWith('step'))).toHaveLength(10);
  });

  it('throws the conflict of another row, and is not lost by it', async () => {
    const process = site()();
    const lease = await leaseOf(process);
    const finished = lease.finish((etag) => [
      { kind: 'delete', key: process.key, etag },
      { kind: 'merge', key: `${process.key} other`, columns: { x: 1 }, etag: 'W/"none"' },
    ]);
    await expect(finished).rejects.toBeInstanceOf(RowConflict);
    expect((await process.row())?.columns.leaseOwner).toBe(lease.owner);
    expect(lease.lost.aborted).toBe(false);
  });

  it('is not lost while storage is away, and goes on when it is back', async () => {
    const process = site()();
    const lease = await leaseOf(process);
    process.away = true;
    await expect(lease.merge({ step: 1 })).rejects.toThrow('storage is away');
    process.away = false;
    await lease.merge({ step: 2 });
    expect(lease.lost.aborted).toBe(false);
  });
});

describe('a lease of a process whose clock is two hours ahead', () => {
  it('lasts as long as any', async () => {
    const start = site();
    const [ahead, right] = [start(hoursAhead), start()];
    await leaseOf(ahead);
    expect(await right.acquire()).toBeUndefined();
  });

  it('lapses as soon as any when the process dies', async () => {
    const start = site();
    const [ahead, right] = [start(hoursAhead), start()];
    (await leaseOf(ahead)).abandon();
    right.skewMs = lapseMs - 5_000;
    expect(await right.leased()).toBe(true);
    right.skewMs = lapseMs + 5_000;
    expect(await right.leased()).toBe(false);
    expect(await right.acquire()).toBeDefined();
  });
});
