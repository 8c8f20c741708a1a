import { TableClient } from '@azure/data-tables';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { type LimitRows, limitRows } from '../../shared/accounts/limits/limit-rows.ts';
import type { Ticker } from '../../shared/accounts/limits/ticker.ts';
import { RowTable } from '../../shared/platform/rows.ts';

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
  stop(): Promise<void>;
}

/** Storage calls of all processes that are under way. */
let underWay = 0;

async function counted<T>(call: () => Promise<T>): Promise<T> {
  underWay += 1;
  try {
    return await call();
  } finally {
    underWay -= 1;
  }
}

/** Storage calls come to an end, however many follow one another. */
export async function settled(): Promise<void> {
  for (let quiet = 0; quiet < 10; quiet = underWay > 0 ? 0 : quiet + 1) await new Promise(setImmediate);
}

export async function startLimitSite(): Promise<LimitSite> {
  const azurite: Azurite = await startAzurite();
  const client = TableClient.fromConnectionString(azurite.connectionString, 'limits', {
    allowInsecureConnection: true,
  });
  await client.createTable();
  const processes: SimulatedProcess[] = [];
  const site: LimitSite = {
    now: 1_800_000_000_000,
    process(account) {
      const ticks = new Set<() => void>();
      const calls = { reads: 0, writes: 0 };
      // Each has a table of its own: only one process's writes share transactions.
      const table = new (class extends RowTable {
        override async get(...args: Parameters<RowTable['get']>) {
          calls.reads += 1;
          if (one.cutOff) throw new Error('storage is away');
          return await counted(() => super.get(...args));
        }
        override async write(...args: Parameters<RowTable['write']>) {
          calls.writes += 1;
          if (one.cutOff) throw new Error('storage is away');
          return await counted(() => super.write(...args));
        }
      })(async () => client);
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
    stop: () => azurite.stop(),
  };
  return site;
}
