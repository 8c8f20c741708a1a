import type { ListedMail } from '../../adapters/store.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { fakeMail, type TestInbox } from '../inbox.test-support.ts';
import { Checkpoints } from '../ledger/checkpoints.ts';
import { withSession } from '../session/with-session.ts';
import { pipelineOf } from './after-commit.ts';
import { FolderFailures } from './folder-failures.ts';
import { Reconciler } from './reconcile.ts';
import type { RoundContext } from './round-context.ts';
import { RunTime } from './run-time.ts';
import { ServerEvidence } from './server-evidence.ts';
import { StartingPoints } from './starting-points.ts';

/** Is never aborted. */
export const forever = new AbortController().signal;

/** A mail as its server lists it. */
export function listed({ store }: TestInbox, n: number, more: Partial<ListedMail> = {}): ListedMail {
  return {
    source: { store: store.identity, scope: store.scopeName, item: fakeMail(n).item },
    folder: 'INBOX',
    ...more,
  };
}

/** Uses a round of an import. `signal`: ends everything. */
export async function withRound(
  inbox: TestInbox,
  use: (round: RoundContext) => Promise<void>,
  signal = forever,
): Promise<void> {
  const runId = newestFirstId(inbox.now);
  const session = { runId, purpose: 'import' as const, budgetMs: inbox.context.budgetMs, signal };
  const { kind } = await withSession(inbox.context, inbox.name, session, async (context) => {
    const checkpoints = await Checkpoints.read(context);
    const failures = new FolderFailures(context);
    const reconciler = await Reconciler.prepare(context, new Map(), { checkpoints, failures, known: [] });
    const others = { evidence: new ServerEvidence(context), starts: new StartingPoints(context, checkpoints) };
    const time = new RunTime(context);
    await use({ context, time, reconciler, failures, pipeline: pipelineOf(context), ...others });
  });
  if (kind !== 'done') throw new Error(kind);
}
