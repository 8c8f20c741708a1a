import { z } from 'zod';
import { isLeased } from '../../platform/row-lease.ts';
import { jsonColumn, type Row } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { singleKeys } from '../keys.ts';
import { type Quiet, quietOf } from '../ledger/quiet.ts';
import { type Run, runSchema } from '../ledger/runs.ts';
import { noCounts } from '../run-counts.ts';

/** A lease that is not renewed for this long has lapsed: its process is gone. In ms. */
export const leaseMs = 30_000;

/** What the holder of an account's lease is doing. */
export interface LeaseView {
  readonly purpose: string;
  readonly runId: string;
  /** The one folder it goes through; absent: all of the account's. */
  readonly folder?: string;
}

/** An import that a row of a turn names. */
interface NamedRun {
  readonly id: string;
  readonly startedAt: number;
}

/**
 * What row `turn` of an account says. It is at once the lease (columns `leaseOwner`, `leaseUntil`), the proof whose turn it
 * is, the ear of a run under way (`open`, `asked`), and what the last run left.
 */
export interface TurnState {
  /** Who holds the lease now. */
  readonly holder: LeaseView | undefined;
  /** The import that is under way now. */
  readonly underWay: NamedRun | undefined;
  /** The last one ended without a word, or nothing is known of it: there may be runs that are taken for alive. */
  readonly unclear: boolean;
  /** Its import, if it was one. */
  readonly died: NamedRun | undefined;
  /** The last import that ended, whether or not it has a row of its own. */
  readonly last: Run | undefined;
  /** The account's store worked when the last import ended, and no trouble of it is known since. */
  readonly works: boolean;
  readonly quiet: Quiet | undefined;
}

/** What row `turn` says at `now` (ms); the version before wrote no more into it than the run's id. */
export function turnState(row: Row | undefined, now: number): TurnState {
  const { leaseOwner, purpose, run, folder, startedAt, last, works, quiet, unclear, died } = row?.columns ?? {};
  const leased = isLeased(row, { lapseMs: leaseMs }, now);
  const view = {
    purpose: String(purpose ?? ''),
    runId: String(run ?? ''),
    ...(typeof folder === 'string' && folder !== '' ? { folder } : {}),
  };
  const named = purpose === 'import' ? { id: view.runId, startedAt: Number(startedAt ?? now) } : undefined;
  const lapsed = leaseOwner !== '';
  const own = lapsed && !leased && leaseOwner !== undefined ? named : undefined;
  return {
    holder: leased ? view : undefined,
    underWay: leased ? named : undefined,
    unclear: lapsed || unclear === true,
    died: own ?? diedOf(died),
    last: typeof last === 'string' && last !== '' ? runSchema.parse(JSON.parse(last)) : undefined,
    works: works === true,
    quiet: quietOf(quiet),
  };
}

/** Reads what row `turn` of an account says. Throws where storage is away. */
export async function readTurn(
  inbox: Pick<InboxContext, 'rows' | 'clock'>,
  account: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<TurnState> {
  return turnState(await inbox.rows.get(account, singleKeys.turn, options), inbox.clock.now());
}

const diedSchema = z.object({ id: z.string(), startedAt: z.number() });

function diedOf(column: unknown): NamedRun | undefined {
  return typeof column === 'string' && column !== '' ? diedSchema.parse(JSON.parse(column)) : undefined;
}

/**
 * The columns that name who takes the turn; what it found out is known only when it has ended. An import looks after runs
 * that died; whoever else takes the turn leaves that to the next one.
 */
export function takenColumns({ purpose, runId, folder = '' }: LeaseView, before: TurnState, now: number) {
  const open = purpose === 'import';
  const left = open ? { unclear: false, died: '' } : { unclear: before.unclear, died: jsonOfDied(before) };
  return { purpose, run: runId, folder, startedAt: now, open, asked: false, works: false, quiet: '', ...left };
}

const jsonOfDied = ({ died }: TurnState) => (died && jsonColumn(died)) ?? '';

/** The column of the last import. */
export function lastColumn(run: Run): string {
  // A run's error is cut long before.
  return jsonColumn(run) ?? '';
}

/** An import that is under way, as its row says before it has done anything. */
export function runUnderWay({ id, startedAt }: NamedRun): Run {
  return { ...noCounts(), id, startedAt, status: 'running', begun: true };
}
