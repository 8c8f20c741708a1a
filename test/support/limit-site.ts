import { type LimitRows, limitRows } from '../../shared/limits/limit-rows.ts';
import type { Ticker } from '../../shared/limits/ticker.ts';
import { random } from './mails.ts';
import { MemoryRows } from './memory-rows.ts';

/** A process as the limits see it: with a clock, a timer and storage of its own, all in the test's hands. */
export interface SimulatedProcess {
  readonly rows: LimitRows;
  readonly ticker: Ticker;
  /** Ahead of the true time, in ms. */
  skewMs: number;
  /** Its timer stands still: it is frozen or dead. */
  stopped: boolean;
  /** Every call of its storage fails. */
  cutOff: boolean;
  /** Storage calls so far. */
  calls: { reads: number; writes: number };
  tick(): void;
}

export interface LimitSite {
  /** The true time. */
  now: number;
  /** A process that takes part in the limits of an account. */
  process(account: string): SimulatedProcess;
  /** Lets time pass in steps of at most a second, every process's timer with it. */
  pass(milliseconds: number, each?: () => void): Promise<void>;
}

/** Storage calls of all processes that are under way. */
let underWay = 0;

const latency = random(1);

/** As long as a way to storage or back takes: some turns of the event loop, so that calls overtake one another. */
async function onTheWay(): Promise<void> {
  for (let turns = 1 + Math.floor(latency() * 3); turns > 0; turns -= 1) await new Promise(setImmediate);
}

async function called<T>(call: () => Promise<T>): Promise<T> {
  underWay += 1;
  try {
    await onTheWay();
    return await call();
  } finally {
    await onTheWay();
    underWay -= 1;
  }
}

/** Storage calls come to an end, however many follow one another. */
export async function settled(): Promise<void> {
  for (let quiet = 0; quiet < 10; quiet = underWay > 0 ? 0 : quiet + 1) await new Promise(setImmediate);
}

/** Processes that share one storage, which is in memory and holds to the conditions of each write. */
export function startLimitSite(): LimitSite {
  const storage = new MemoryRows();
  const processes: SimulatedProcess[] = [];
  const site: LimitSite = {
    now: 1_800_000_000_000,
    process(account) {
      const ticks = new Set<() => void>();
      const calls = { reads: 0, writes: 0 };
      const table: LimitRows['table'] = {
        async get(...args) {
          calls.reads += 1;
          if (one.cutOff) throw new Error('storage is away');
          return await called(() => storage.get(...args));
        },
        async write(...args) {
          calls.writes += 1;
          if (one.cutOff) throw new Error('storage is away');
          return await called(() => storage.write(...args));
        },
      };
      const one: SimulatedProcess = {
        rows: limitRows(table, account, { now: () => site.now + one.skewMs }),
        ticker: (tick) => {
          ticks.add(tick);
          return () => ticks.delete(tick);
        },
        skewMs: 0,
        stopped: false,
        cutOff: false,
        calls,
        tick() {
          for (const tick of [...ticks]) if (!one.stopped) tick();
        },
      };
      processes.push(one);
      return one;
    },
    async pass(milliseconds, each) {
      for (let left = milliseconds; left > 0; left -= 1_000) {
        site.now += Math.min(left, 1_000);
        for (const one of processes) one.tick();
        await settled();
        each?.();
      }
    },
  };
  return site;
}
