import { z } from 'zod';
import type { Row, RowWrite } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { endOf, prefixes, singleKeys } from './keys.ts';
import { listRuns, type Run, runSchema } from './ledger/runs.ts';
import { countLeft, countLimit, countRows } from './left-rows.ts';
import { disposalsFailing, disposalsFailingSchema } from './originals/refused.ts';
import { readTurn, type TurnState, turnState } from './session/turn-row.ts';

/** Runs looked at for errors. */
export const recentRuns = 20;

/** What the rows of an account say of its imports, but for row `turn`, which changes at each of them. */
export const inboxFactsSchema = z.object({
  /** The account has row `turn`: something was begun with its mailbox. */
  hasTurn: z.boolean(),
  /** Of the recent runs that have a row, newest first: those that a status tells anything of. */
  runs: z.array(runSchema),
  pending: z.number(),
  /** When the oldest pending mail was received, in ms since the epoch, where that is known. */
  oldestPendingAt: z.number().optional(),
  quarantined: z.number(),
  /** Disposals that were dropped. */
  dropped: z.number(),
  deletionsToCome: z.number(),
  refused: disposalsFailingSchema,
});
export type InboxFacts = z.output<typeof inboxFactsSchema>;

/** What the rows of an account say of its imports. */
export interface InboxRead {
  readonly facts: InboxFacts;
  readonly turn: TurnState;
}

const kinds = ['run', 'dropped', 'pending', 'quarantine', 'due', 'refused'] as const;
const factPrefixes: ReadonlySet<string> = new Set(kinds.map((kind) => prefixes[kind]));

/** Whether a write changes the facts of its account. Row `turn` does by being there; what it says is read by itself. */
export function changesFacts({ kind, key }: Pick<RowWrite, 'kind' | 'key'>): boolean {
  return factPrefixes.has(key.slice(0, 2)) || (kind === 'insert' && key === singleKeys.turn);
}

/** The facts of an account with whose mailbox nothing was ever begun. */
export function noInboxFacts(): InboxFacts {
  const counts = { pending: 0, quarantined: 0, dropped: 0, deletionsToCome: 0 };
  return { hasTurn: false, runs: [], ...counts, refused: { count: 0, last: null } };
}

/** A run under way, or one that failed, cannot say what it leaves: until then the one before counts. */
export const lastKnowing = (runs: readonly Run[]) => runs.find((run) => run.backlog !== undefined);

/** Reads all of it: four readings where it is little. Throws storage's trouble. */
export async function readInbox(
  inbox: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<InboxRead> {
  const [listed, left, deletionsToCome, { turn, hasTurn, refused }] = await Promise.all([
    listRuns(inbox, account, { ...options, top: recentRuns }),
    countLeft(inbox, account, options),
    countRows(inbox, account, prefixes.due, options),
    readTurnAndRefused(inbox, account, options),
  ]);
  const oldest = left.pendingReceivedAt.length === 0 ? {} : { oldestPendingAt: Math.min(...left.pendingReceivedAt) };
  const { pending, quarantined, dropped } = left;
  const facts = { hasTurn, runs: [...toldOf(listed)], pending, ...oldest, quarantined, dropped, deletionsToCome };
  return { facts: { ...facts, refused: { ...refused } }, turn };
}

/** The same where the facts are known: one reading, or none. Throws storage's trouble. */
export async function withTurn(
  inbox: InboxContext,
  account: string,
  facts: InboxFacts,
  options: { readonly signal: AbortSignal },
): Promise<InboxRead> {
  const turn = facts.hasTurn ? await readTurn(inbox, account, options) : turnState(undefined, inbox.clock.now());
  return { facts, turn };
}

/** Of runs, newest first, those that a status tells anything of. */
function toldOf(runs: readonly Run[]): readonly Run[] {
  const last = runs.find((run) => run.begun || run.finishedAt !== undefined);
  const known = lastKnowing(runs);
  return runs.filter((run) => run === last || run === known || run.error);
}

/** The turn, and what of the disposals was refused: they stand so close that one reading brings both. */
async function readTurnAndRefused(inbox: InboxContext, account: string, { signal }: { readonly signal: AbortSignal }) {
  const { rows, clock } = inbox;
  let turn: Row | undefined;
  async function* refusedRows() {
    for await (const row of rows.range(account, singleKeys.turn, endOf(prefixes.refused), {
      signal,
      top: countLimit,
    })) {
      if (row.key === singleKeys.turn) turn = row;
      else if (row.key.startsWith(prefixes.refused)) yield row;
    }
  }
  const refused = await disposalsFailing(refusedRows());
  return { turn: turnState(turn, clock.now()), hasTurn: turn !== undefined, refused };
}
