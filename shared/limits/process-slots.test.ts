import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type SimulatedProcess, settled, startLimitSite } from '../../test/support/limit-site.ts';
import { random } from '../../test/support/mails.ts';
import { isAcquired } from '../platform/acquired.ts';
import type { ConnectionSlot } from './connection-slots.ts';
import { ProcessSlots } from './process-slots.ts';

const site = startLimitSite();
beforeAll(() => {
  // Storage that is away is reported, thousands of times here.
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
});

const never = new AbortController().signal;

/** A process that opens connections, and cuts those whose place is lost. */
class Holder {
  readonly process: SimulatedProcess;
  readonly slots: ProcessSlots;
  readonly open = new Set<ConnectionSlot>();

  constructor(account: string, total: number) {
    this.process = site.process(account);
    this.slots = new ProcessSlots(this.process.rows, 'c:server', total, this.process.ticker);
  }

  /** How many of so many it got. */
  async take(wanted: number): Promise<number> {
    const got = await Promise.all(Array.from({ length: wanted }, () => this.slots.acquire(never)));
    const slots = got.filter(isAcquired);
    for (const slot of slots) {
      this.open.add(slot);
      slot.lost.addEventListener('abort', () => this.open.delete(slot));
    }
    return slots.length;
  }

  async release(count: number): Promise<void> {
    for (const slot of [...this.open].slice(0, count)) {
      this.open.delete(slot);
      slot.release();
    }
    await settled();
  }
}

const account = (() => {
  let count = 0;
  return () => `account-${count++}`;
})();

const all = (holders: readonly Holder[]) => holders.reduce((sum, { open }) => sum + open.size, 0);

describe('places for connections', () => {
  it('are never more than there are, whoever asks at the same time', async () => {
    const name = account();
    const holders = Array.from({ length: 12 }, () => new Holder(name, 7));
    const got = await Promise.all(holders.map((holder) => holder.take(3)));
    expect(got.reduce((sum, count) => sum + count, 0)).toBe(all(holders));
    expect(all(holders)).toBeLessThanOrEqual(7);
    for (let round = 0; round < 6; round += 1) {
      await site.pass(2_000);
      await Promise.all(holders.map((holder) => holder.take(1)));
      expect(all(holders)).toBeLessThanOrEqual(7);
    }
    expect(all(holders)).toBe(7);
  });

  it('are taken, kept and given back many by one write, and cost nothing while they are held', async () => {
    const holder = new Holder(account(), 5);
    expect(await holder.take(5)).toBe(5);
    expect(holder.process.calls).toEqual({ reads: 1, writes: 1 });
    await site.pass(20_000);
    // The renewals: a write each, every five seconds.
    expect(holder.process.calls.writes).toBe(5);
    expect(holder.process.calls.reads).toBe(1);
    await holder.release(5);
    expect(holder.process.calls).toEqual({ reads: 1, writes: 6 });
    expect(holder.slots.unused).toBe(true);
  });

  it('that are given back are there for others at once', async () => {
    const name = account();
    const [one, two] = [new Holder(name, 3), new Holder(name, 3)];
    expect(await one.take(3)).toBe(3);
    expect(await two.take(1)).toBe(0);
    await one.release(1);
    await site.pass(1_000);
    expect(await two.take(1)).toBe(1);
  });

  it('are refused without a look at storage for a moment after a refusal', async () => {
    const name = account();
    const [one, two] = [new Holder(name, 1), new Holder(name, 1)];
    await one.take(1);
    await two.take(1);
    const { reads, writes } = two.process.calls;
    for (let ask = 0; ask < 50; ask += 1) expect(await two.take(1)).toBe(0);
    expect(two.process.calls).toEqual({ reads, writes });
  });

  it('of a process that was killed come free when its lease is over, and not before', async () => {
    const name = account();
    const [dead, other] = [new Holder(name, 2), new Holder(name, 2)];
    await dead.take(2);
    dead.process.stopped = true;
    await site.pass(32_000);
    expect(await other.take(2)).toBe(0);
    await site.pass(2_000);
    expect(await other.take(2)).toBe(2);
  });

  it('of a process that was killed come free no later because its clock ran two hours ahead', async () => {
    const name = account();
    const [dead, other] = [new Holder(name, 2), new Holder(name, 2)];
    dead.process.skewMs = 7_200_000;
    await dead.take(2);
    await dead.take(1);
    dead.process.stopped = true;
    expect(await other.take(1)).toBe(0);
    for (let second = 0; second < 36 && other.open.size === 0; second += 1) {
      await site.pass(1_000);
      await other.take(1);
    }
    expect(other.open.size).toBe(1);
    // The dead one's mark of waiting stands in nobody's way either.
    await site.pass(30_000);
    expect(await other.take(1)).toBe(1);
  });

  it('that can no longer be renewed are lost before anybody else may take them', async () => {
    const name = account();
    const [cutOff, other] = [new Holder(name, 2), new Holder(name, 2)];
    await cutOff.take(2);
    cutOff.process.cutOff = true;
    // The clocks differ by as much as they may, to the worse side.
    other.process.skewMs = 2_900;
    cutOff.process.skewMs = -2_900;
    let lostAt = 0;
    let takenAt = 0;
    for (let second = 0; second < 60 && takenAt === 0; second += 1) {
      await site.pass(1_000);
      if (cutOff.open.size === 0 && lostAt === 0) lostAt = site.now;
      if ((await other.take(2)) > 0) takenAt = site.now;
      expect(all([cutOff, other])).toBeLessThanOrEqual(2);
    }
    expect(lostAt).toBeGreaterThan(0);
    expect(takenAt).toBeGreaterThan(lostAt);
  });

  it('survive a storage that is away for a while', async () => {
    const holder = new Holder(account(), 2);
    await holder.take(2);
    holder.process.cutOff = true;
    await site.pass(20_000);
    holder.process.cutOff = false;
    await site.pass(60_000);
    expect(holder.open.size).toBe(2);
  });

  it('end for a holder that finds itself gone from the row', async () => {
    const name = account();
    const [holder, other] = [new Holder(name, 1), new Holder(name, 1)];
    await holder.take(1);
    await holder.process.rows.table.write(name, [{ kind: 'delete', key: 'c:server' }]);
    expect(await other.take(1)).toBe(1);
    await site.pass(6_000);
    expect([holder.open.size, other.open.size]).toEqual([0, 1]);
  });

  it('follow a limit that was lowered or raised', async () => {
    const name = account();
    const [one, two] = [new Holder(name, 4), new Holder(name, 4)];
    await one.take(4);
    one.slots.total = 2;
    two.slots.total = 2;
    expect([one.slots.shouldYield(), one.slots.shouldYield(), one.slots.shouldYield()]).toEqual([true, true, false]);
    await one.release(2);
    expect(await two.take(1)).toBe(0);
    two.slots.total = 3;
    await site.pass(2_000);
    expect(await two.take(1)).toBe(1);
  });

  it('do not wait for whoever stopped asking', async () => {
    const holder = new Holder(account(), 2);
    const stop = new AbortController();
    const asked = holder.slots.acquire(stop.signal);
    stop.abort();
    expect(isAcquired(await asked)).toBe(false);
    await settled();
    expect(holder.slots.unused).toBe(true);
    expect(await holder.take(2)).toBe(2);
  });
});

describe('a process that waits for places', () => {
  it('gets its share from one that has them all, idle ones first', async () => {
    const name = account();
    const [full, waiting] = [new Holder(name, 5), new Holder(name, 5)];
    await full.take(5);
    let idle = 2;
    full.slots.onDemand(() => {
      if (idle === 0) return false;
      idle -= 1;
      void full.release(1);
      return true;
    });
    expect(await waiting.take(1)).toBe(0);
    expect(full.slots.shouldYield()).toBe(false);
    // At its renewal the holder sees that somebody waits: its share is two of five, so it gives three back.
    await site.pass(6_000);
    expect([idle, full.open.size]).toEqual([0, 3]);
    expect([full.slots.shouldYield(), full.slots.shouldYield()]).toEqual([false, false]);
    expect(await waiting.take(2)).toBe(2);
    expect(await full.take(1)).toBe(0);
  });

  it('is reported by shouldYield, once for each connection too many', async () => {
    const name = account();
    const [full, waiting] = [new Holder(name, 4), new Holder(name, 4)];
    await full.take(4);
    await waiting.take(1);
    await site.pass(6_000);
    expect([full.slots.shouldYield(), full.slots.shouldYield(), full.slots.shouldYield()]).toEqual([true, true, false]);
    await full.release(1);
    // The place is kept for the one that waits.
    expect(await full.take(1)).toBe(0);
    expect(await waiting.take(1)).toBe(1);
  });

  it('has its turn, also where more wait than there are places', async () => {
    const name = account();
    const holders = Array.from({ length: 5 }, () => new Holder(name, 2));
    const turns = new Map<Holder, number>();
    for (let second = 0; second < 90; second += 1) {
      for (const holder of holders) {
        if (holder.open.size > 0 && holder.slots.shouldYield()) await holder.release(1);
        else if (holder.open.size === 0 && (await holder.take(1)) > 0) turns.set(holder, (turns.get(holder) ?? 0) + 1);
      }
      expect(all(holders)).toBeLessThanOrEqual(2);
      await site.pass(1_000);
    }
    expect(turns.size).toBe(5);
    for (const count of turns.values()) expect(count).toBeGreaterThanOrEqual(2);
  });

  it('gets the idle ones of its own process, where two of its ends speak to one server', async () => {
    const holder = new Holder(account(), 1);
    await holder.take(1);
    holder.slots.onDemand(() => {
      void holder.release(1);
      return true;
    });
    expect(await holder.take(1)).toBe(0);
    await site.pass(1_000);
    expect(await holder.take(1)).toBe(1);
  });
});

describe('whatever happens to processes and storage', () => {
  it.each(process.env.SOAK ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [1, 2])(
    'no connection is open too many: seed %i',
    async (seed) => {
      const chance = random(seed);
      const name = account();
      const total = 4;
      const holders: Holder[] = [];
      const spawn = () => {
        const holder = new Holder(name, total);
        holder.process.skewMs = Math.round((chance() - 0.5) * 5_600);
        holders.push(holder);
      };
      for (let count = 0; count < 6; count += 1) spawn();
      let most = 0;
      let taken = 0;
      for (let step = 0; step < 150; step += 1) {
        const holder = holders[Math.floor(chance() * holders.length)];
        if (!holder) throw new Error('nobody there');
        const dice = chance();
        // Not waited for: the next steps come while storage is being asked.
        if (dice < 0.5) void holder.take(1 + Math.floor(chance() * 3)).then((got) => (taken += got));
        else if (dice < 0.8) void holder.release(1 + Math.floor(chance() * 2));
        else if (dice < 0.9) holder.process.cutOff = !holder.process.cutOff;
        else if (dice < 0.93) {
          // Killed: its connections end with it.
          holder.process.stopped = true;
          holder.open.clear();
          holders.splice(holders.indexOf(holder), 1);
          spawn();
        }
        await site.pass(1_000, () => {
          most = Math.max(most, all(holders));
        });
      }
      expect(most).toBeLessThanOrEqual(total);
      expect(most).toBeGreaterThan(1);
      expect(taken).toBeGreaterThan(10);
    },
  );
});
