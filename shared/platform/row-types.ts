/** A column's value. Dates are ISO text or milliseconds as a number, so that they sort and compare. */
export type Column = string | number | boolean;

/** Columns by name; undefined ones are not written. */
export type Columns = Readonly<Record<string, Column | undefined>>;

/** A row as it was read. */
export interface Row {
  readonly key: string;
  readonly etag: string;
  readonly columns: Columns;
  /** When storage wrote it last, by storage's own clock, in ms since the epoch; absent where only some columns were read. */
  readonly writtenAt?: number;
}

/**
 * One write. `insert` fails if the row exists. `replace`, `merge` and `delete` fail if it does not, and if an etag is given
 * and the row has another one. `put` writes in any case.
 */
export type RowWrite =
  | { readonly kind: 'insert' | 'put'; readonly key: string; readonly columns: Columns }
  | { readonly kind: 'replace' | 'merge'; readonly key: string; readonly columns: Columns; readonly etag?: string }
  | { readonly kind: 'delete'; readonly key: string; readonly etag?: string };

/**
 * The condition of a write did not hold. `exists`: the row of an insert is there; `changed`: the row has another etag;
 * `missing`: there is no such row. Nothing of the group was written, unless somebody has since written every row of it
 * again.
 */
export class RowConflict extends Error {
  override readonly name = 'RowConflict';
  readonly reason: 'exists' | 'changed' | 'missing';
  constructor(reason: 'exists' | 'changed' | 'missing') {
    super(`Conditional write failed: ${reason}`);
    this.reason = reason;
  }
}

/** For `catch`: ignores a conflict, which means that somebody else has made or undone the change. Throws other errors. */
export function ignoreConflict(error: unknown): void {
  if (!(error instanceof RowConflict)) {
    throw error;
  }
}
