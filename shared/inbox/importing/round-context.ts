import type { RowWrite } from '../../platform/rows.ts';
import type { RunCounts } from '../run-counts.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { FolderFailures } from './folder-failures.ts';
import type { Reconciler } from './reconcile.ts';
import type { RunTime } from './run-time.ts';
import type { ServerEvidence } from './server-evidence.ts';
import type { StartingPoints } from './starting-points.ts';

/** What is done when a page is committed: events and disposals, which the next page's fetch need not wait for. */
export type AfterCommit = () => Promise<void>;

/** Lets the events and disposals of one page go on while the next page is fetched; never more than one page behind. */
export class Pipeline {
  #before: Promise<void> = Promise.resolve();

  /** Throws the failure of the page before. */
  async next(afterCommit: AfterCommit): Promise<void> {
    await this.#before;
    this.#before = afterCommit();
    // Its failure is thrown at the next page or at the end.
    this.#before.catch(() => undefined);
  }

  async idle(): Promise<void> {
    await this.#before;
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
