import type { RangeOptions, Row, Rows, RowWrite } from '../platform/rows.ts';
import type { AccountSummaries } from './account-summaries.ts';

/** Whether a write of a partition changes what a summary of an account says. */
export type IsSummed = (write: Pick<RowWrite, 'kind' | 'key'>, partition: string) => boolean;

/**
 * Rows of accounts of which a summary is kept: before any of them is changed, that is noted (account-summaries.ts). It
 * stands between all of the service and its table, so that no write can forget it.
 */
export class SummedRows implements Rows {
  readonly #rows: Rows;
  readonly #summaries: AccountSummaries;
  readonly #isSummed: IsSummed;

  constructor(rows: Rows, summaries: AccountSummaries, isSummed: IsSummed) {
    this.#rows = rows;
    this.#summaries = summaries;
    this.#isSummed = isSummed;
  }

  get(partition: string, key: string, options: { signal?: AbortSignal } = {}): Promise<Row | undefined> {
    return this.#rows.get(partition, key, options);
  }

  range(partition: string, from: string, before: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    return this.#rows.range(partition, from, before, options);
  }

  prefix(partition: string, prefix: string, options: RangeOptions = {}): AsyncGenerator<Row> {
    return this.#rows.prefix(partition, prefix, options);
  }

  write(partition: string, writes: readonly RowWrite[]): Promise<readonly string[]> {
    return this.#noted(partition, writes, () => this.#rows.write(partition, writes));
  }

  writeSoon(partition: string, writes: readonly RowWrite[], withinMs: number): Promise<readonly string[]> {
    return this.#noted(partition, writes, () => this.#rows.writeSoon(partition, writes, withinMs));
  }

  endWaiting(): void {
    this.#rows.endWaiting();
  }

  writeAll(partition: string, writes: readonly RowWrite[]): Promise<void> {
    return this.#noted(partition, writes, () => this.#rows.writeAll(partition, writes));
  }

  deleteEach(partition: string, rows: Parameters<Rows['deleteEach']>[1]): Promise<void> {
    const writes = rows.map(({ key }) => ({ kind: 'delete', key }) as const);
    return this.#noted(partition, writes, () => this.#rows.deleteEach(partition, rows));
  }

  #noted<T>(partition: string, writes: readonly Pick<RowWrite, 'kind' | 'key'>[], write: () => Promise<T>): Promise<T> {
    return writes.some((each) => this.#isSummed(each, partition))
      ? this.#summaries.changing(partition, write)
      : write();
  }
}
