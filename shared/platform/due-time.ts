import type { Row } from './rows.ts';

/** Clocks of two processes differ by less than this, or one of them is wrong. In ms. */
const clockToleranceMs = 2 * 60_000;

/**
 * When a row that waits is due, in ms since the epoch. The row says so (`at`), by the clock of whoever wrote it. A time
 * further ahead than the whole wait (`waitMs` of the row) was written by a clock that runs ahead: then the wait counts
 * from the row's timestamp, which is storage's clock.
 */
export function dueTime(row: Pick<Row, 'columns' | 'writtenAt'>, at: number, now: number): number {
  const { waitMs } = row.columns;
  const isBelievable =
    typeof waitMs !== 'number' || row.writtenAt === undefined || at <= now + waitMs + clockToleranceMs;
  return isBelievable ? at : row.writtenAt + waitMs;
}

/** The longest wait that the filter corrects. Longer ones are few; a server asked for them. */
const longestMs = 3_600_000 + 5 * 60_000;

/** OData filter: rows that are due by `column`, and rows so far ahead that `dueTime` must decide. */
export function dueFilter(column: string, now: number): string {
  const ahead = now + longestMs + clockToleranceMs;
  return `${column} le ${now} or (${column} gt ${ahead} and waitMs le ${longestMs})`;
}
