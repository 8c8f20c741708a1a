import { LeaseLost, type RowLease } from '../../platform/row-lease.ts';
import type { RowWrite } from '../../platform/rows.ts';

/** Another run has begun to work on the account: what this one was about to do is no longer its own. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  constructor() {
    super('Another run has begun to work on the account');
  }
}

/**
 * Whose turn it is to begin anything of an account. Holding a lease cannot say so: its holder may be stopped between any two
 * lines, and go on when another one has taken it. So what a run begins or moves on (a page in progress, a checkpoint) is
 * written in one transaction with the proof that row `turn` still names its lease as the owner. A run that takes its turn ends
 * the pages that others had in progress, before it writes any blob.
 */
export class Fence {
  readonly #lease: Pick<RowLease, 'write'>;
  readonly #first: () => readonly RowWrite[];
  #used = false;
  #firstWritten = false;
  #before: Promise<unknown> = Promise.resolve();

  /** `first`: goes with the first of the writes. */
  constructor(lease: Pick<RowLease, 'write'>, first: () => readonly RowWrite[] = () => []) {
    this.#lease = lease;
    this.#first = first;
  }

  /** Something was written, or may have been. */
  get used(): boolean {
    return this.#used;
  }

  /**
   * Carries out writes together with the proof that it is still this run's turn, one after the other. Throws Superseded where
   * it is not, and RowConflict where a condition of the writes themselves did not hold.
   */
  write(writes: readonly RowWrite[]): Promise<void> {
    this.#used = true;
    const written = this.#before.then(() => this.#write(writes));
    // Its failure is its own.
    this.#before = written.catch(() => undefined);
    return written;
  }

  async #write(writes: readonly RowWrite[]): Promise<void> {
    try {
      await this.#lease.write(this.#firstWritten ? writes : [...this.#first(), ...writes]);
      this.#firstWritten = true;
    } catch (error) {
      throw error instanceof LeaseLost ? new Superseded() : error;
    }
  }
}
