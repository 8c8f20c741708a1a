/** How leases of one kind behave. */
export interface LeaseKind {
  /** In log lines. */
  readonly name: string;
  /** A lease that is not renewed for this long has lapsed: its process is gone, or stands still. In ms. */
  readonly lapseMs: number;
  /** In ms. */
  readonly renewEveryMs: number;
  /** True: the row exists for the lease alone, and acquiring replaces it. False: the row has other columns, which stay. */
  readonly ownRow: boolean;
  /**
   * When the lease could not be renewed in time: true, it counts as lost at once; false, only when another process has
   * acquired it. True is right if most of the work would be in vain.
   */
  readonly stopsWhenUnsure: boolean;
  /** Its first and its last write wait this long, in ms, for another of their partition to go with: see `writeSoon`. Absent: not at all. */
  readonly joinMs?: number;
  /**
   * The lease of a row that is there is written with its holder's first other write, or after this long, in ms. Until
   * then nobody sees it, and whoever writes the row first has the row. Absent: acquiring writes it.
   */
  readonly writtenWithinMs?: number;
}
