import type { Clock } from '../../platform/clock.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { Refusal } from '../../platform/refusal.ts';
import type { Rows } from '../../platform/rows.ts';
import { claimMs } from '../delivering/claim.ts';
import { openEnd, openKey } from '../keys.ts';

/** How old a count may be, in ms: far below the limit, and at it. Each page of rows that it takes adds a tenth. */
const countEveryMs = 10_000;
const countAtLimitEveryMs = 1_000;
const pageRows = 1_000;

/** Longest time of one count, in ms. */
const countMs = 30_000;

/** A caller who was refused may come again after this, in ms. */
const comeAgainMs = 60_000;

/** Accounts remembered; of another one the mail is counted again. */
const maxAccounts = 1_000;

/** How much may wait. */
export interface BacklogOptions {
  /** Mails of one account that may wait; undefined: any number, and nothing is counted. Setting OUTBOX_MAX_WAITING. */
  readonly max: number | undefined;
  /** Mail counts that is due within this time, in ms: what its sender scheduled for later does not. */
  readonly withinMs: number;
}

interface Backlog {
  countedAt: number;
  /** What waited then, up to the limit. */
  waiting: number;
  /** Accepted here since. */
  accepted: number;
  counting: Promise<void> | undefined;
}

/**
 * Bounds how much mail of an account waits. A call is refused by a count alone that is some seconds old at most, and no
 * call counts for itself: so several processes together may take some mails more than the setting says.
 */
export class BacklogLimit {
  readonly #rows: Pick<Rows, 'range'>;
  readonly #clock: Clock;
  readonly #options: BacklogOptions;
  readonly #backlogs = new LruMap<string, Backlog>({ max: maxAccounts });

  constructor(rows: Pick<Rows, 'range'>, clock: Clock, options: BacklogOptions) {
    this.#rows = rows;
    this.#clock = clock;
    this.#options = options;
  }

  /** Throws Refusal `tooMany` while as much mail of the account waits as may. */
  async check(account: string): Promise<void> {
    const { max } = this.#options;
    if (max === undefined) return;
    const backlog = this.#backlogs.getOrCreate(account, newBacklog);
    if (backlog.counting === undefined && this.#isOld(backlog, max)) {
      backlog.counting = this.#count(account, backlog, max).finally(() => {
        backlog.counting = undefined;
      });
    }
    await backlog.counting;
    if (backlog.waiting < max) return;
    const message = `${max} mails of the account wait already, as many as may (OUTBOX_MAX_WAITING).`;
    throw new Refusal('tooMany', message, { retryAfterMs: comeAgainMs });
  }

  /** A mail of the account was accepted here, and is due. */
  accepted(account: string): void {
    const backlog = this.#backlogs.get(account);
    if (backlog) backlog.accepted += 1;
  }

  #isOld({ countedAt, waiting, accepted }: Backlog, max: number): boolean {
    const every = waiting + accepted < max ? countEveryMs : countAtLimitEveryMs;
    return this.#clock.now() - countedAt >= every * (1 + waiting / pageRows / 10);
  }

  async #count(account: string, backlog: Backlog, max: number): Promise<void> {
    const now = this.#clock.now();
    // What waits is looked for again a claim's length after its time.
    const filter = `checkAt le ${now + this.#options.withinMs + claimMs}`;
    const range = { signal: AbortSignal.timeout(countMs), filter, select: ['ended'] };
    let waiting = 0;
    for await (const { columns } of this.#rows.range(account, openKey(''), openEnd, range)) {
      if (!columns.ended) waiting += 1;
      if (waiting === max) break;
    }
    backlog.countedAt = now;
    backlog.waiting = waiting;
    backlog.accepted = 0;
  }
}

function newBacklog(): Backlog {
  return { countedAt: Number.NEGATIVE_INFINITY, waiting: 0, accepted: 0, counting: undefined };
}
