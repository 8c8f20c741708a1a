import { isAcquired } from '../../platform/acquired.ts';
import { type LeaseKind, RowLease } from '../../platform/row-lease.ts';
import type { Columns, Row, RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { singleKeys } from '../keys.ts';
import { quietColumn } from '../ledger/quiet.ts';
import { Fence } from './fence.ts';
import { type LeaseView, leaseMs, readTurn, type TurnState, takenColumns, turnState } from './turn-row.ts';

const kind: LeaseKind = {
  name: 'inbox',
  lapseMs: leaseMs,
  renewEveryMs: 8_000,
  ownRow: false,
  stopsWhenUnsure: true,
};

/** Beside a session: the slot of its connection is taken and given back at the same time, in the same partition. */
const besideSession: LeaseKind = { ...kind, joinMs: 250 };

const key = singleKeys.turn;

/** How a lease is asked for. */
export interface AcquireOptions {
  /** Row `turn` as it was read a moment ago, by whoever opens a session beside it; absent: it is read now. */
  readonly found?: { readonly row: Row | undefined };
  /** Goes with the first write of the fence. */
  readonly first?: () => readonly RowWrite[];
}

/** A last write was held back: the run was asked to go round once more. */
class Asked extends Error {}

/** The account's lease, which is its turn as well: see `Fence`. */
export class AccountLease {
  readonly fence: Fence;
  /** What the row said before. */
  readonly before: TurnState;
  readonly #lease: RowLease;
  readonly #purpose: string;
  #asked = false;
  #everAsked = false;

  private constructor(lease: RowLease, view: LeaseView, before: TurnState, first: AcquireOptions['first']) {
    this.#lease = lease;
    this.#purpose = view.purpose;
    this.before = before;
    this.fence = new Fence(lease, first);
  }

  /** Acquires the lease from a row that is not leased, or answers undefined where somebody else has written it first. */
  static async acquire(
    { rows, clock }: Pick<InboxContext, 'rows' | 'clock'>,
    partition: string,
    view: LeaseView,
    {
      row,
      of,
      first,
    }: { readonly row: Row | undefined; readonly of: LeaseKind; readonly first: AcquireOptions['first'] },
  ): Promise<AccountLease | undefined> {
    let own: AccountLease | undefined;
    const changed = ({ asked }: Columns) => {
      if (own) own.#hear(asked === true);
    };
    const now = clock.now();
    const before = turnState(row, now);
    const lease = await RowLease.acquire(
      { rows, clock, partition, key, changed },
      of,
      row,
      takenColumns(view, before, now),
    );
    if (!isAcquired(lease)) return undefined;
    own = new AccountLease(lease, view, before, first);
    return own;
  }

  /** Aborted, with a LeaseLost, when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  /** Somebody has asked for another round since this one began. */
  get asked(): boolean {
    return this.#asked;
  }

  /** Somebody asked for another round at any time: its caller was promised this run. */
  get everAsked(): boolean {
    return this.#everAsked;
  }

  /** Before another round: from here on an ask means one more. Throws LeaseLost. */
  async goRound(): Promise<void> {
    this.#lease.resume();
    this.#asked = false;
    await this.#lease.merge({ asked: false });
  }

  /**
   * Ends the lease, with what is known now and with other rows, in one transaction: whoever wants an import later does not
   * ask this run any more. Answers false, and keeps the lease, where somebody has asked for another round; with `heedsAsks:
   * false` that is passed over. Throws LeaseLost.
   */
  async end(
    columns: Columns,
    writes: () => readonly RowWrite[],
    { heedsAsks }: { readonly heedsAsks: boolean },
  ): Promise<boolean> {
    try {
      await this.#lease.finish((etag) => {
        if (this.#asked && heedsAsks) throw new Asked();
        const ended = { leaseOwner: '', leaseUntil: 0, open: false, ...columns };
        return [{ kind: 'merge', key, columns: ended, etag }, ...writes()];
      });
      return true;
    } catch (error) {
      if (error instanceof Asked) return false;
      throw error;
    }
  }

  /**
   * Ends the lease where nothing is to be said, or nothing more. What was known before is known still, unless something was
   * written: whoever else may change it takes the turn first. Never throws: if the row cannot be written, the lease lapses.
   */
  async release(): Promise<void> {
    await this.#lease.release(this.#stillKnown());
  }

  #stillKnown(): Columns {
    const { quiet, works } = this.before;
    if (this.#purpose === 'import' || this.#purpose === 'sweep' || this.fence.used) return { open: false };
    return { open: false, works, quiet: quietColumn(quiet) };
  }

  #hear(asked: boolean): void {
    this.#asked ||= asked;
    this.#everAsked ||= asked;
  }
}

/** Who holds the account's lease now. */
export async function leaseHolder(
  inbox: Pick<InboxContext, 'rows' | 'clock'>,
  account: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LeaseView | undefined> {
  return (await readTurn(inbox, account, options)).holder;
}

/**
 * Acquires the account's lease, or answers who holds it. There is one worker per account at a time: an import, a
 * retention, a sweep or a dry run. It keeps servers from being asked twice; that nothing is imported twice rests on
 * conditional writes alone.
 */
export async function acquireLease(
  inbox: Pick<InboxContext, 'rows' | 'clock'>,
  account: string,
  view: LeaseView,
  { found, first }: AcquireOptions = {},
): Promise<AccountLease | LeaseView> {
  const { rows, clock } = inbox;
  const row = found ? found.row : await rows.get(account, key);
  const { holder } = turnState(row, clock.now());
  if (holder) return holder;
  const lease = await AccountLease.acquire(inbox, account, view, { row, of: found ? besideSession : kind, first });
  // Where it is free again by now, it was held a moment ago.
  return lease ?? (await leaseHolder(inbox, account)) ?? { purpose: '', runId: '' };
}
