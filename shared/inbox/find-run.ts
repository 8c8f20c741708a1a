import type { InboxContext } from './context.ts';
import { getRun, type Run } from './ledger/runs.ts';
import { readTurn, runUnderWay, type TurnState } from './session/turn-row.ts';

/** A run of the account, also the one under way and the last one, which may have no row of their own; undefined where there is none with this id. */
export async function findRun(
  inbox: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal: AbortSignal },
): Promise<Run | undefined> {
  const run = await getRun(inbox, account, runId, options);
  return run ?? runsOf(await readTurn(inbox, account, options)).find(({ id }) => id === runId);
}

/** The runs that a turn knows of, newest first. */
export function runsOf({ underWay, last }: TurnState): readonly Run[] {
  return [...(underWay ? [runUnderWay(underWay)] : []), ...(last ? [last] : [])];
}
