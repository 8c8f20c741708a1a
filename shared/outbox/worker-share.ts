/**
 * Deliveries that may take their time in one process: `newBatchThreshold` of host.json. While more are under way, the host
 * fetches nothing from the queue, for no account.
 */
export const workers = 16;

/** One that waits for a place is put back to the queue after this, so that its worker is free for other accounts. */
const waitMs = 1_000;

/** One that would wait longer than this, as deliveries come to an end now, is put back at once. */
const worthWaitingMs = 500;

/** An account is brisk whose last delivery ended so recently, and where all that are under way will have in so short a time. */
const briskEndMs = 250;
const briskAllMs = 1_000;

/** How much the newest interval between two ends counts for. */
const newest = 0.2;

/** Accounts remembered; beyond it those without a delivery under way go, the one used longest ago first. */
const maxAccounts = 1_000;

interface Busy {
  underWay: number;
  /** When the last delivery came to its end, or the first began. */
  lastAt: number;
  /** Between the ends of two deliveries on average, in ms; undefined until the first one. */
  interval: number | undefined;
  readonly waiting: (() => void)[];
}

/**
 * Shares the workers of a process between accounts, so that an account with much mail and a slow server never has all of
 * them. With one account at work it has half of them at most, with two a third each, and so on: there are always some
 * left for the next one. Only an account whose mail leaves briskly, and that nobody could wait for long, gets what is over.
 */
export class WorkerShare {
  readonly #accounts = new Map<string, Busy>();

  /** A place for one delivery, as the function that gives it back; undefined: put the mail back. */
  async enter(account: string): Promise<(() => void) | undefined> {
    const busy = this.#busy(account);
    if (busy.underWay === 0) busy.lastAt = performance.now();
    else if (busy.underWay >= this.#share() && !this.#isBrisk(busy)) {
      const sinceLast = performance.now() - busy.lastAt;
      const pace = sinceLast > waitMs ? sinceLast : (busy.interval ?? 0);
      if (pace * (busy.waiting.length + 1) > worthWaitingMs || !(await turn(busy))) return undefined;
      return () => this.#leave(busy);
    }
    busy.underWay += 1;
    return () => this.#leave(busy);
  }

  /**
   * How far apart mail that is put back should come again, in ms: as fast as deliveries come to an end, and never faster
   * than the workers of a process could put it back anew.
   */
  pace(account: string): number {
    return Math.max(this.#busy(account).interval ?? 0, waitMs / workers);
  }

  #share(): number {
    let active = 0;
    for (const { underWay } of this.#accounts.values()) if (underWay > 0) active += 1;
    return Math.max(1, Math.floor(workers / (active + 1)));
  }

  #isBrisk(busy: Busy): boolean {
    if (busy.interval === undefined || performance.now() - busy.lastAt > briskEndMs) return false;
    let all = 0;
    for (const { underWay } of this.#accounts.values()) all += underWay;
    // One is left, so that the host goes on fetching.
    return busy.interval * busy.underWay < briskAllMs && all < workers - 1;
  }

  #leave(busy: Busy): void {
    const now = performance.now();
    const interval = now - busy.lastAt;
    busy.interval = busy.interval === undefined ? interval : busy.interval + newest * (interval - busy.interval);
    busy.lastAt = now;
    const next = busy.underWay <= this.#share() || this.#isBrisk(busy) ? busy.waiting.shift() : undefined;
    if (next) next();
    else busy.underWay -= 1;
  }

  #busy(account: string): Busy {
    const known = this.#accounts.get(account);
    this.#accounts.delete(account);
    if (this.#accounts.size >= maxAccounts) {
      const idle = [...this.#accounts].find(([, { underWay }]) => underWay === 0);
      if (idle) this.#accounts.delete(idle[0]);
    }
    const busy = known ?? { underWay: 0, lastAt: performance.now(), interval: undefined, waiting: [] };
    this.#accounts.set(account, busy);
    return busy;
  }
}

/** Waits for a place that a delivery hands over. False: none came in time. */
function turn(busy: Busy): Promise<boolean> {
  return new Promise((resolve) => {
    const enter = () => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      busy.waiting.splice(busy.waiting.indexOf(enter), 1);
      resolve(false);
    }, waitMs);
    busy.waiting.push(enter);
  });
}
