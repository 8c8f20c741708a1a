import { errorText, log } from '../platform/log.ts';
import { type Row, RowConflict, type Rows, type RowWrite } from '../platform/rows.ts';
import {
  addNewRow,
  backlogOfRow,
  dayKey,
  dayOfRow,
  daysEnd,
  type Fact,
  isLeft,
  isNew,
  leftRow,
  newEnd,
  newPrefix,
  newRow,
  totalColumns,
  totalOfRow,
} from './count-rows.ts';
import { DayTotal, type DayTotals, dayOf, totalOf } from './day-total.ts';

/** Rows that this process writes of an account before it adds them up. */
const addUpEvery = 500;
/** Fewer rows are left as they are: a transaction is worth it for this many. */
const worthIt = 100;
/** Rows read at a time: what one request answers. */
const pageRows = 1_000;
/** Rows of one transaction, which holds 100. */
const perTransaction = 98;
/** Longest adding up beside other work, in ms. */
const addUpMs = 60_000;
/** How often reading starts again because somebody added up meanwhile. */
const readings = 3;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * What is counted per day and account, in the partition of the facts themselves. Each fact brings a row of its own in the
 * very transaction that makes it true: it counts once, whoever is killed, and whoever stood still and goes on. The rows
 * are added up to one total a day later, in transactions that delete what they add, so that no row can count twice.
 *
 * Storage transactions: none for a fact, and for each 98 rows one, with two readings for each 1,000 rows.
 */
export class DayCounts {
  readonly #rows: Rows;
  readonly #written = new Map<string, number>();

  /** `rows`: of the table whose facts are counted. */
  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** The row to be written in the transaction that makes a fact true. Now and then begins to add up, beside the caller. */
  row(account: string, fact: Fact): RowWrite {
    const written = (this.#written.get(account) ?? 0) + 1;
    this.#written.set(account, written % addUpEvery);
    if (written === addUpEvery) {
      this.addUp(account, { signal: AbortSignal.timeout(addUpMs) }).catch((error: unknown) => {
        // The timer of retention does it within the hour.
        log.warn('stats.addUpFailed', { account, error: errorText(error) });
      });
    }
    return newRow(fact);
  }

  /**
   * Notes how much mail an account's imports have left at `at` (ms since the epoch): the last note of a day counts. One
   * storage transaction.
   */
  async noteBacklog(account: string, at: number, backlog: number): Promise<void> {
    await this.#rows.write(account, [leftRow(dayOf(at), backlog)]);
  }

  /** Adds up the rows of an account, where there are enough to be worth it. Ends where somebody else adds up, too. */
  async addUp(account: string, { signal }: Options): Promise<void> {
    for (;;) {
      const found: Row[] = [];
      for await (const row of this.#rows.range(account, newPrefix, newEnd, { signal, top: pageRows })) found.push(row);
      if (found.length < worthIt || !(await this.#addUpRows(account, found, signal)) || found.length < pageRows) return;
    }
  }

  /** False: somebody else was at it. */
  async #addUpRows(account: string, found: readonly Row[], signal: AbortSignal): Promise<boolean> {
    const days = found.map(dayOfRow).sort();
    const known = await this.#totals(account, days[0] ?? '', signal);
    for (const rows of groups(found)) {
      const sums: DayTotals = new Map();
      for (const row of rows) {
        const day = dayOfRow(row);
        if (!sums.has(day)) sums.set(day, known.get(day)?.total.copy() ?? new DayTotal());
        addNewRow(totalOf(sums, day), row);
      }
      const writes = [...sums].map(([day, total]): RowWrite => {
        const etag = known.get(day)?.etag;
        const change = { key: dayKey(day), columns: totalColumns(total) };
        return etag === undefined ? { kind: 'insert', ...change } : { kind: 'replace', ...change, etag };
      });
      try {
        const deletes = rows.map(({ key, etag }): RowWrite => ({ kind: 'delete', key, etag }));
        const etags = await this.#rows.write(account, [...writes, ...deletes]);
        for (const [index, [day, total]] of [...sums].entries()) known.set(day, { total, etag: etags[index] ?? '' });
      } catch (error) {
        if (error instanceof RowConflict) return false;
        throw error;
      }
    }
    return true;
  }

  /** Totals of an account for the day `from` (`YYYY-MM-DD`) and later ones; days without a fact are left out. */
  async read(account: string, from: string, { signal }: Options): Promise<DayTotals> {
    for (let reading = 1; ; reading += 1) {
      const totals: DayTotals = new Map();
      const etags: string[] = [];
      let count = 0;
      for await (const row of this.#rows.range(account, dayKey(from), newEnd, { signal })) {
        count += 1;
        const day = dayOfRow(row);
        if (isLeft(row.key)) {
          totalOf(totals, day).leave(backlogOfRow(row));
        } else if (!isNew(row.key)) {
          etags.push(row.etag);
          totals.set(day, totalOfRow(row));
        } else if (day >= from) {
          addNewRow(totalOf(totals, day), row);
        }
      }
      // One request sees the partition as it is at one moment; of several, a row may be added up between two of them.
      if (count < pageRows || reading === readings) return totals;
      const after = [...(await this.#totals(account, from, signal)).values()].map(({ etag }) => etag);
      if (after.join() === etags.join()) return totals;
    }
  }

  /** Removes the totals of days before `before` (`YYYY-MM-DD`). */
  async removeOld(account: string, before: string, { signal }: Options): Promise<void> {
    const old: Row[] = [];
    for await (const row of this.#rows.range(account, dayKey(''), dayKey(before), { signal, top: pageRows })) {
      old.push(row);
    }
    await this.#rows.deleteEach(account, old);
  }

  async #totals(account: string, from: string, signal: AbortSignal) {
    const totals = new Map<string, { readonly total: DayTotal; readonly etag: string }>();
    for await (const row of this.#rows.range(account, dayKey(from), daysEnd, { signal })) {
      if (!isLeft(row.key)) totals.set(dayOfRow(row), { total: totalOfRow(row), etag: row.etag });
    }
    return totals;
  }
}

/** Rows in groups that fit one transaction together with the totals of their days. */
function* groups(rows: readonly Row[]): Generator<readonly Row[]> {
  let group: Row[] = [];
  let days = new Set<string>();
  for (const row of rows) {
    days.add(dayOfRow(row));
    if (group.length + 1 + days.size > perTransaction) {
      yield group;
      group = [];
      days = new Set([dayOfRow(row)]);
    }
    group.push(row);
  }
  if (group.length > 0) yield group;
}
