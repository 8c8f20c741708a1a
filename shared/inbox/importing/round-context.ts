import type { RowWrite } from '../../platform/rows.ts';
import type { RunCounts } from '../run-counts.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { Pipeline } from './after-commit.ts';
import type { FolderFailures } from './folder-failures.ts';
import type { Reconciler } from './reconcile.ts';
import type { RunTime } from './run-time.ts';
import type { ServerEvidence } from './server-evidence.ts';
import type { StartingPoints } from './starting-points.ts';

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
