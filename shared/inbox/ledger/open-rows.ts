import type { Row } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { prefixes, refusedUntil, singleKeys } from '../keys.ts';

/** What earlier runs left open. */
export interface OpenRows {
  /** Pages in progress. */
  readonly interrupted: readonly Row[];
  /** Pages that were committed and not finished. */
  readonly unfinished: readonly Row[];
  /** There are refused disposals that may be tried again. */
  readonly refused: boolean;
}

/** The row of an account's turn, and what is open beside it. */
export interface TurnAndOpen {
  readonly row: Row | undefined;
  readonly open: OpenRows;
}

/** Of whom it is read. */
interface Place {
  readonly inbox: Pick<InboxContext, 'rows' | 'clock'>;
  readonly account: string;
  readonly signal: AbortSignal;
}

/**
 * Reads the turn and what earlier runs left open, at once: an idle import is the most frequent of all. Whoever takes the turn
 * from this row knows that nobody has begun anything since.
 */
export async function readTurnAndOpen({ inbox, account, signal }: Place): Promise<TurnAndOpen> {
  const interrupted: Row[] = [];
  const unfinished: Row[] = [];
  let turn: Row | undefined;
  for await (const row of inbox.rows.range(account, singleKeys.turn, refusedUntil(inbox.clock.now()), { signal })) {
    if (row.key === singleKeys.turn) turn = row;
    else if (row.key.startsWith(prefixes.inProgress)) interrupted.push(row);
    else if (row.key.startsWith(prefixes.unfinished)) unfinished.push(row);
    else if (row.key.startsWith(prefixes.refused)) {
      return { row: turn, open: { interrupted, unfinished, refused: true } };
    }
  }
  return { row: turn, open: { interrupted, unfinished, refused: false } };
}
