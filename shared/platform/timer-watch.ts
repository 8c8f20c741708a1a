import { type Clock, toIso } from './clock.ts';
import { errorText, log } from './log.ts';
import { type Row, RowConflict, type RowTable } from './rows.ts';

/** A timer that the host is to fire. */
export interface WatchedTimer {
  readonly name: string;
  /** The first time (ms since the epoch) after a run at which it is due again; undefined: never. */
  readonly next: (afterMs: number) => number | undefined;
}

/** When a timer last ran. */
export interface TimerState {
  readonly name: string;
  /** When it last began to run, ms since the epoch; to within five minutes. */
  readonly lastRun: number;
  readonly overdue: boolean;
}

interface Options {
  readonly signal: AbortSignal;
}

/** A host that moves takes a minute or two to fire again; one that has not after this long has forgotten. */
const graceMs = 15 * 60_000;
/** A timer that runs each minute notes it this often: its age needs no more, and each note is a storage transaction. */
const noteEveryMs = 5 * 60_000;
/** A process looks for timers that stand still at most this often. */
const lookEveryMs = 60_000;

const partition = 'timers';

/**
 * When each timer last ran, so that timers that stand still are found: by health, by an alert, and by whatever else runs,
 * which then does their work. (Timers of Flex Consumption have stood still after deployments.)
 */
export class TimerWatch {
  readonly #rows: RowTable;
  readonly #timers: readonly WatchedTimer[];
  readonly #clock: Clock;
  readonly #noted = new Map<string, number>();
  #lookedAt: number | undefined;

  constructor(rows: RowTable, timers: readonly WatchedTimer[], clock: Clock) {
    this.#rows = rows;
    this.#timers = timers;
    this.#clock = clock;
  }

  /** Notes that a timer begins to run. Never throws: its work is more than the note. */
  async ran(name: string): Promise<void> {
    const now = this.#clock.now();
    if (now - (this.#noted.get(name) ?? Number.NEGATIVE_INFINITY) < noteEveryMs) return;
    this.#noted.set(name, now);
    try {
      await this.#rows.write(partition, [{ kind: 'put', key: name, columns: { at: now } }]);
    } catch (error) {
      this.#noted.delete(name);
      log.warn('timer.notNoted', { timer: name, error: errorText(error) });
    }
  }

  /** What is known of each timer. One never seen is seen from now on: its age counts from here. */
  async states(options: Options): Promise<readonly TimerState[]> {
    return (await this.#known(options)).map(({ state }) => state);
  }

  /**
   * The timers that stand still, each answered to one caller of all processes, who is to do its work now. Asks storage
   * at most once a minute a process, and answers nothing in between.
   */
  async takeOverdue(options: Options): Promise<readonly string[]> {
    const now = this.#clock.now();
    if (this.#lookedAt !== undefined && now - this.#lookedAt < lookEveryMs && now >= this.#lookedAt) return [];
    this.#lookedAt = now;
    const taken: string[] = [];
    for (const { state, row } of await this.#known(options)) {
      if (!state.overdue || !row) continue;
      const minutes = Math.round((now - state.lastRun) / 60_000);
      log.warn('timer.overdue', { timer: state.name, lastRun: toIso(state.lastRun), minutes });
      try {
        const columns = { at: now };
        await this.#rows.write(partition, [{ kind: 'merge', key: state.name, columns, etag: row.etag }]);
        taken.push(state.name);
      } catch (error) {
        // It ran meanwhile, or somebody else does its work.
        if (!(error instanceof RowConflict)) throw error;
      }
    }
    return taken;
  }

  async #known({ signal }: Options): Promise<readonly { state: TimerState; row: Row | undefined }[]> {
    const rows = new Map<string, Row>();
    for await (const row of this.#rows.prefix(partition, '', { signal })) rows.set(row.key, row);
    const now = this.#clock.now();
    const known: { state: TimerState; row: Row | undefined }[] = [];
    for (const { name, next } of this.#timers) {
      const row = rows.get(name);
      const at = row?.columns.at;
      const lastRun = typeof at === 'number' ? at : now;
      if (!row) await this.#see(name, now);
      const due = next(lastRun);
      known.push({ state: { name, lastRun, overdue: due !== undefined && due + graceMs < now }, row });
    }
    return known;
  }

  async #see(name: string, now: number): Promise<void> {
    try {
      await this.#rows.write(partition, [{ kind: 'insert', key: name, columns: { at: now } }]);
    } catch (error) {
      if (!(error instanceof RowConflict)) throw error;
    }
  }
}
