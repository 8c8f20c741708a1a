import type { RowWrite } from '../../platform/rows.ts';
import type { Item } from '../originals/items.ts';
import type { RunCounts } from '../run-counts.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { FolderFailures } from './folder-failures.ts';
import type { Reconciler } from './reconcile.ts';
import type { RunTime } from './run-time.ts';
import type { ServerEvidence } from './server-evidence.ts';
import type { StartingPoints } from './starting-points.ts';

/** What is left to do with mails that were committed: events, marks and disposals, which no other page waits for. */
export interface AfterCommit {
  readonly items: readonly Item[];
  /** They were fetched in another session: see `finish`. */
  readonly verify: boolean;
  /** What is done behind that. */
  readonly last?: () => Promise<void>;
}

/** Nothing is left to do. */
export const nothingLeft: AfterCommit = { items: [], verify: false };

/** Commits whose events and disposals may wait; then the pages wait for them. */
const maxWaiting = 4;

/** Commits whose originals are disposed of by one command: where the line is lost meanwhile, each mail is tried again alone. */
const maxTogether = 2;

type Finish = (items: readonly Item[], options: { readonly verify: boolean }) => Promise<unknown>;

/**
 * Lets the events and disposals of pages go on while other pages are imported. What has come meanwhile is done together, in
 * fewer commands and transactions. After a failure nothing more is begun.
 */
export class Pipeline {
  readonly #finish: Finish;
  readonly #waiting: AfterCommit[] = [];
  /** What is under way now; never rejects. */
  #batch: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** `finish`: does what comes after commits. */
  constructor(finish: Finish) {
    this.#finish = finish;
  }

  /** Resolves once it has its place. Throws the failure of one before it. */
  async next(afterCommit: AfterCommit): Promise<void> {
    while (this.#waiting.length >= maxWaiting && !this.#failure) await this.#batch;
    this.#throwFailure();
    if (afterCommit.items.length === 0 && !afterCommit.last) return;
    this.#waiting.push(afterCommit);
    this.#running ??= this.#run();
  }

  /** Resolves once nothing waits. Throws the failure of one that did. */
  async idle(): Promise<void> {
    await this.#running;
    this.#throwFailure();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#failure) {
      this.#batch = this.#finishSome().catch((error: unknown) => {
        this.#failure = { error };
      });
      await this.#batch;
    }
    this.#running = undefined;
  }

  async #finishSome(): Promise<void> {
    const [{ verify } = nothingLeft] = this.#waiting;
    const end = this.#waiting.findIndex((one) => one.last !== undefined || one.verify !== verify);
    // One that has more to do ends what is done together.
    const count = end < 0 ? this.#waiting.length : this.#waiting[end]?.verify === verify ? end + 1 : end;
    const some = this.#waiting.splice(0, Math.min(count, maxTogether));
    const items = some.flatMap((one) => one.items);
    if (items.length > 0) await this.#finish(items, { verify });
    await some.at(-1)?.last?.();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** What the pages of one round over an account's folders have in common. */
export interface RoundContext {
  readonly context: ImportContext;
  readonly time: RunTime;
  readonly evidence: ServerEvidence;
  readonly reconciler: Reconciler;
  readonly failures: FolderFailures;
  readonly starts: StartingPoints;
  readonly pipeline: Pipeline;
  /** The write that tells of a run under way how far it is; absent where nobody follows it. */
  readonly progress?: (counts: RunCounts) => RowWrite;
}
