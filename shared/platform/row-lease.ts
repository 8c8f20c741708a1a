import { randomUUID } from 'node:crypto';
import type { Acquired, Unavailable } from './acquired.ts';
import type { Clock } from './clock.ts';
import type { LeaseKind } from './lease-kind.ts';
import { errorText, log } from './log.ts';
import { type Columns, type Row, RowConflict, type Rows, type RowWrite } from './rows.ts';

export type { LeaseKind } from './lease-kind.ts';

/** Where a lease is kept. */
export interface LeaseLocation {
  readonly rows: Rows;
  readonly clock: Clock;
  readonly partition: string;
  readonly key: string;
  /** Told the row's columns whenever somebody else is found to have written it and to have left the lease in it. */
  readonly changed?: (columns: Columns) => void;
}

/** Somebody else has the lease, or it could not be renewed in time. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** No right clock writes an end further ahead than this many times `lapseMs`. */
const believableLapses = 2;

/**
 * Whether a process has the lease of a row at `now` (ms). The end in the row is by its holder's clock. If it is further
 * ahead than a right clock can have written, the lease ends `lapseMs` after the row's timestamp, which is storage's clock.
 */
export function isLeased(row: Row | undefined, kind: Pick<LeaseKind, 'lapseMs'>, now: number): boolean {
  const until = row?.columns.leaseUntil;
  if (typeof until !== 'number' || until <= now) {
    return false;
  }
  return until <= now + believableLapses * kind.lapseMs || (row?.writtenAt ?? 0) + kind.lapseMs > now;
}

/** A lease as it was acquired. */
interface Taken {
  readonly etag: string;
  readonly until: number;
  readonly unwritten?: Columns;
}

/** How often a write is tried while others change other columns of the row. */
const maxRounds = 5;

/**
 * A lease that one process has at a time: columns `leaseOwner` and `leaseUntil` of a row. It is renewed until it is
 * released or lost.
 *
 * A lease keeps two processes from doing the same work at the same time. It protects no data: a process can stand still
 * for longer than any lease and then go on. So every write that matters is made through the lease, on the condition that
 * the row still has this owner.
 */
export class RowLease implements Acquired {
  /** Unique to this lease: the lease is ours if and only if the row has this owner. */
  readonly owner: string;
  readonly #location: LeaseLocation;
  readonly #kind: LeaseKind;
  readonly #lost = new AbortController();
  #timer: NodeJS.Timeout;
  #etag: string;
  #until: number;
  /** What is written with the first write; undefined: the row has it. */
  #unwritten: Columns | undefined;
  #renewing = false;
  /** The row says no more that the lease is ours. */
  #ended = false;
  #writes: Promise<unknown> = Promise.resolve();

  private constructor(location: LeaseLocation, kind: LeaseKind, owner: string, taken: Taken) {
    this.#location = location;
    this.#kind = kind;
    this.owner = owner;
    this.#etag = taken.etag;
    this.#until = taken.until;
    this.#unwritten = taken.unwritten;
    this.#timer = this.#startTimer();
  }

  /**
   * Acquires the lease of a row that was read a moment ago (undefined: there is no row yet) and is not leased, and writes
   * `columns` with it. Unavailable if another process wrote the row first.
   */
  static async acquire(
    location: LeaseLocation,
    kind: LeaseKind,
    row: Row | undefined,
    columns: Columns = {},
  ): Promise<RowLease | Unavailable> {
    const owner = randomUUID();
    const until = location.clock.now() + kind.lapseMs;
    const { key } = location;
    const all = { ...columns, leaseOwner: owner, leaseUntil: until };
    if (row && kind.writtenWithinMs !== undefined) {
      return new RowLease(location, kind, owner, { etag: row.etag, until, unwritten: all });
    }
    const write: RowWrite = row
      ? { kind: kind.ownRow ? 'replace' : 'merge', key, columns: all, etag: row.etag }
      : { kind: 'insert', key, columns: all };
    try {
      const [etag = ''] = await writeJoined(location, kind, [write]);
      return new RowLease(location, kind, owner, { etag, until });
    } catch (error) {
      if (error instanceof RowConflict) {
        return { retryAfterMs: kind.lapseMs };
      }
      throw error;
    }
  }

  /** Aborted, with a LeaseLost, when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Writes columns of the row and renews the lease. Throws LeaseLost if another process has it. */
  async merge(columns: Columns): Promise<void> {
    await this.#exclusively(() => this.#merge(columns));
  }

  /** Makes other writes of the partition together with the renewal of the lease. Throws as `finish` does. */
  async write(writes: readonly RowWrite[]): Promise<void> {
    await this.#exclusively(() => this.#merge({}, writes));
  }

  /**
   * Writes columns as `merge` does, right before a step that cannot be undone. Also throws LeaseLost if the write took so
   * long that another process may have the lease by now: this process may have stood still.
   */
  async confirm(columns: Columns): Promise<void> {
    const began = performance.now();
    await this.merge(columns);
    if (performance.now() - began > this.#kind.lapseMs / 2) {
      throw new LeaseLost('The lease was confirmed too late');
    }
  }

  /**
   * Ends the lease with last writes. `writes` gets the row's etag, which they must be conditional on, and must remove the
   * lease's columns or the row. Answers the new etags. Throws LeaseLost, and RowConflict if the condition on another row
   * of the same writes did not hold.
   */
  async finish(writes: (etag: string) => readonly RowWrite[]): Promise<readonly string[]> {
    this.abandon();
    const etags = await this.#exclusively(() => this.#conditionally(writes, 'joined'));
    this.#ended = true;
    return etags;
  }

  /** Goes on renewing where `finish` threw: the lease is kept after all. */
  resume(): void {
    this.abandon();
    if (!this.#ended && !this.lost.aborted) this.#timer = this.#startTimer();
  }

  /** Stops renewing and answers the row's etag, for last writes that the caller makes itself; see `finish`. */
  async close(): Promise<string> {
    this.abandon();
    return await this.#exclusively(async () => this.#etag);
  }

  /**
   * Ends the lease with `last` and leaves the other columns of the row as they are. Never throws: if the row cannot be
   * written, the lease lapses. Does nothing after `finish`.
   */
  async release(last: Columns = {}): Promise<void> {
    if (this.#ended) return;
    const { key } = this.#location;
    const columns = { ...last, leaseOwner: '', leaseUntil: 0 };
    try {
      await this.finish((etag) => [{ kind: 'merge', key, columns, etag }]);
    } catch (error) {
      if (!(error instanceof LeaseLost)) {
        log.warn('lease.notReleased', { lease: this.#kind.name, error: errorText(error) });
      }
    }
  }

  /** Stops renewing, writes nothing: the lease lapses. */
  abandon(): void {
    clearInterval(this.#timer);
  }

  #startTimer(): NodeJS.Timeout {
    const { renewEveryMs, writtenWithinMs } = this.#kind;
    const renewing = () => setInterval(() => this.#tick(), renewEveryMs).unref();
    if (!this.#unwritten) return renewing();
    const first = () => {
      this.#timer = renewing();
      this.#tick();
    };
    return setTimeout(first, writtenWithinMs).unref();
  }

  #tick(): void {
    const { name, stopsWhenUnsure } = this.#kind;
    if (stopsWhenUnsure && this.#location.clock.now() >= this.#until) {
      this.#markLost('The lease could not be renewed in time');
    }
    if (this.#renewing || this.lost.aborted) {
      return;
    }
    this.#renewing = true;
    this.merge({})
      .catch((error) => {
        // Storage may be away for a moment.
        if (!(error instanceof LeaseLost)) {
          log.warn('lease.notRenewed', { lease: name, error: errorText(error) });
        }
      })
      .finally(() => {
        this.#renewing = false;
      });
  }

  #markLost(why: string): LeaseLost {
    this.abandon();
    if (!this.lost.aborted) {
      // Of one that nobody saw yet, another process was faster: that is no trouble.
      if (!this.#unwritten) log.warn('lease.lost', { lease: this.#kind.name });
      this.#lost.abort(new LeaseLost(why));
    }
    return new LeaseLost(why);
  }

  async #merge(columns: Columns, writes: readonly RowWrite[] = []): Promise<void> {
    const until = this.#location.clock.now() + this.#kind.lapseMs;
    const all = { ...this.#unwritten, ...columns, leaseUntil: until };
    const { key } = this.#location;
    const renewal = (etag: string): RowWrite => ({ kind: 'merge', key, columns: all, etag });
    const [etag = ''] = await this.#conditionally((known) => [renewal(known), ...writes]);
    this.#etag = etag;
    this.#until = until;
    this.#unwritten = undefined;
  }

  /** Makes one write after the other: each needs the etag of the one before. */
  #exclusively<T>(write: () => Promise<T>): Promise<T> {
    const next = this.#writes.then(write, write);
    this.#writes = next.catch(() => undefined);
    return next;
  }

  /**
   * Writes on the condition of the row's etag. If somebody changed the row and left this lease in it, tries again with the
   * new etag.
   */
  async #conditionally(
    writes: (etag: string) => readonly RowWrite[],
    how: 'joined' | 'alone' = 'alone',
  ): Promise<readonly string[]> {
    const { rows, partition, key, changed } = this.#location;
    for (let round = 1; ; round += 1) {
      try {
        const wanted = writes(this.#etag);
        return how === 'joined'
          ? await writeJoined(this.#location, this.#kind, wanted)
          : await rows.write(partition, wanted);
      } catch (error) {
        if (!(error instanceof RowConflict)) {
          throw error;
        }
        const row = await rows.get(partition, key);
        if (row?.columns.leaseOwner !== this.owner) {
          throw this.#markLost('Another process has the lease');
        }
        // The row is as we wrote it last, so the conflict is in another row of these writes.
        if (row.etag === this.#etag || round === maxRounds) {
          throw error;
        }
        this.#etag = row.etag;
        changed?.(row.columns);
      }
    }
  }
}

/** As the kind has it: at once, or together with what else is about to be written to the partition. */
function writeJoined(
  { rows, partition }: LeaseLocation,
  { joinMs }: LeaseKind,
  writes: readonly RowWrite[],
): Promise<readonly string[]> {
  return joinMs === undefined ? rows.write(partition, writes) : rows.writeSoon(partition, writes, joinMs);
}
