import type { Acquired, Unavailable } from '../../platform/acquired.ts';
import { LruMap } from '../../platform/lru-map.ts';

/**
 * Deliveries that may take their time in one process: `newBatchThreshold` of host.json. While more are under way, the host
 * fetches nothing from the queue, for no account.
 */
export const workers = 16;

/** One that waits for a worker of its account's share is requeued after this, so that others get on. In ms. */
const waitMs = 1_000;

/** One that would wait longer than this, at the pace at which deliveries end now, is requeued at once. In ms. */
const worthWaitingMs = 500;

/**
 * An account counts as fast if its last delivery ended so recently, and if all deliveries under way will have ended in
 * so short a time.
 */
const fastEndMs = 250;
const fastAllMs = 1_000;

/** How much the newest interval between two ends counts for. */
const newest = 0.2;

/** Accounts remembered; beyond it those without a delivery under way go, the one used longest ago first. */
const maxAccounts = 1_000;

interface AccountLoad {
  underWay: number;
  /** When the last delivery ended, or the first began. */
  lastAt: number;
  /** Between the ends of two deliveries on average, in ms; undefined until the first one. */
  interval: number | undefined;
  readonly waiting: (() => void)[];
}

/**
 * Shares the workers of a process between accounts, so that an account with much mail and a slow server never has all
 * of them. One account alone has half of them at most, two have a third each, and so on: there are always some left for
 * the next one. Only an account whose mail leaves fast, so that nobody waits for it for long, gets what is over.
 */
export class WorkerQuota {
  readonly #accounts = new LruMap<string, AccountLoad>({
    max: maxAccounts,
    mayEvict: ({ underWay }) => underWay === 0,
  });

  /** A worker for one delivery; or how far apart the account's mail is to come again. */
  async acquire(account: string): Promise<Acquired | Unavailable> {
    const load = this.#load(account);
    if (load.underWay === 0) load.lastAt = performance.now();
    else if (load.underWay >= this.#share() && !this.#isFast(load)) {
      const sinceLast = performance.now() - load.lastAt;
      const pace = sinceLast > waitMs ? sinceLast : (load.interval ?? 0);
      if (pace * (load.waiting.length + 1) > worthWaitingMs || !(await turn(load))) return this.#none(account);
      return this.#worker(load);
    }
    load.underWay += 1;
    return this.#worker(load);
  }

  #worker(load: AccountLoad): Acquired {
    let released = false;
    return {
      release: () => {
        if (!released) this.#leave(load);
        released = true;
      },
    };
  }

  /** As far apart as the ends of deliveries, and never so close that the workers of a process only requeue mail. */
  #none(account: string): Unavailable {
    return { retryAfterMs: Math.max(this.#load(account).interval ?? 0, waitMs / workers) };
  }

  #share(): number {
    let active = 0;
    for (const { underWay } of this.#accounts.values()) if (underWay > 0) active += 1;
    return Math.max(1, Math.floor(workers / (active + 1)));
  }

  #isFast(load: AccountLoad): boolean {
    if (load.interval === undefined || performance.now() - load.lastAt > fastEndMs) return false;
    let all = 0;
    for (const { underWay } of this.#accounts.values()) all += underWay;
    // One is left, so that the host goes on fetching.
    return load.interval * load.underWay < fastAllMs && all < workers - 1;
  }

  #leave(load: AccountLoad): void {
    const now = performance.now();
    const interval = now - load.lastAt;
    load.interval = load.interval === undefined ? interval : load.interval + newest * (interval - load.interval);
    load.lastAt = now;
    const next = load.underWay <= this.#share() || this.#isFast(load) ? load.waiting.shift() : undefined;
    if (next) next();
    else load.underWay -= 1;
  }

  #load(account: string): AccountLoad {
    return this.#accounts.getOrCreate(account, () => ({
      underWay: 0,
      lastAt: performance.now(),
      interval: undefined,
      waiting: [],
    }));
  }
}

/** Waits for a worker that a delivery hands over. False: none came in time. */
function turn(load: AccountLoad): Promise<boolean> {
  return new Promise((resolve) => {
    const enter = () => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      load.waiting.splice(load.waiting.indexOf(enter), 1);
      resolve(false);
    }, waitMs);
    load.waiting.push(enter);
  });
}
