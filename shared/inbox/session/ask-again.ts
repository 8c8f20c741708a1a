import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { runKey, singleKeys } from '../keys.ts';
import { getRun, type Run, runColumns } from '../ledger/runs.ts';
import { runUnderWay } from './turn-row.ts';

const key = singleKeys.turn;

/** Times that a run which writes all the time is asked. */
const maxTries = 20;

/**
 * Asks a run to go round once more; undefined where it has looked for the last time, or could not be asked. Row `turn` says whether a run may be
 * asked; a run ends it by a conditional write, so that an ask is either heard or known to have come too late. From here on
 * the run has a row of its own, whatever it finds: the answer.
 */
export async function askAgain(
  inbox: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<Run | undefined> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const row = await inbox.rows.get(account, key, options);
    if (row?.columns.run !== runId || row.columns.open !== true) return undefined;
    const there = await getRun(inbox, account, runId, options);
    const run = there ?? runUnderWay({ id: runId, startedAt: Number(row.columns.startedAt) });
    const known: RowWrite[] = there ? [] : [{ kind: 'insert', key: runKey(runId), columns: runColumns(run) }];
    try {
      await inbox.rows.write(account, [{ kind: 'merge', key, columns: { asked: true }, etag: row.etag }, ...known]);
      return run;
    } catch (error) {
      // The run ended, or wrote something, or somebody else asked: look again.
      if (!(error instanceof RowConflict)) throw error;
    }
  }
  return undefined;
}
