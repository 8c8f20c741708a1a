import { RowConflict, type Rows, type RowWrite } from '../../platform/rows.ts';
import { singleKeys } from '../keys.ts';

/** Row of an account that names the run whose turn it is. */
const key = singleKeys.turn;

/** Times that a write is tried whose condition failed although it is still this run's turn: a repeat by the SDK. */
const maxTries = 5;

/** Another run has begun to work on the account: what this one was about to do is no longer its own. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  constructor() {
    super('Another run has begun to work on the account');
  }
}

/**
 * Whose turn it is to begin anything of an account. A lease cannot say so: its holder may be stopped between any two lines,
 * and go on when another one has taken it. So a run names itself in row `turn` before it looks at anything, and what it
 * begins or moves on later (a page in progress, a checkpoint) is written in one transaction with the proof that the row still
 * names it. A run that takes its turn ends the pages that others had in progress, before it writes any blob.
 */
export class Fence {
  readonly #rows: Rows;
  readonly #account: string;
  readonly #runId: string;
  #etag: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(rows: Rows, account: string, runId: string) {
    this.#rows = rows;
    this.#account = account;
    this.#runId = runId;
  }

  /** Makes it this run's turn, whoever's it was. */
  async begin(): Promise<void> {
    const [etag] = await this.#rows.write(this.#account, [{ kind: 'put', key, columns: { run: this.#runId } }]);
    this.#etag = etag ?? '';
  }

  /**
   * Carries out writes together with the proof that it is still this run's turn. Throws Superseded where it is not, and
   * RowConflict where a condition of the writes themselves did not hold.
   */
  write(writes: readonly RowWrite[]): Promise<void> {
    // One after the other: each leaves a new etag.
    const written = this.#last.then(() => this.#write(writes));
    this.#last = written.catch(() => undefined);
    return written;
  }

  async #write(writes: readonly RowWrite[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      if (this.#etag === undefined) {
        throw new Error('A run wrote before its turn had begun');
      }
      const proof: RowWrite = { kind: 'merge', key, columns: { run: this.#runId }, etag: this.#etag };
      try {
        const [etag] = await this.#rows.write(this.#account, [proof, ...writes]);
        this.#etag = etag ?? '';
        return;
      } catch (error) {
        if (!(error instanceof RowConflict)) {
          throw error;
        }
        const row = await this.#rows.get(this.#account, key);
        if (row?.columns.run !== this.#runId) {
          throw new Superseded();
        }
        if (row.etag === this.#etag || tries >= maxTries) {
          throw error;
        }
        // An own write, carried out although its answer was lost.
        this.#etag = row.etag;
      }
    }
  }
}
