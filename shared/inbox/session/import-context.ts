import type { StoredAccount } from '../../accounts/account-store.ts';
import type { AccountTrouble } from '../../accounts/health.ts';
import type { MailStore, StoreSession } from '../../adapters/store.ts';
import type { InboxContext } from '../context.ts';
import type { OpenRows } from '../ledger/open-rows.ts';
import type { Quiet } from '../ledger/quiet.ts';
import type { RunCounts } from '../run-counts.ts';
import type { Fence } from './fence.ts';

/** What the holder of an account's lease works with, whether it needs the mail server or not. */
export interface ImportPlace {
  readonly inbox: InboxContext;
  /** The account's name. */
  readonly account: string;
  /** Ends everything at once: the lease was lost, the time is over. */
  readonly signal: AbortSignal;
}

/** The same with one signed-in session, for one run. */
export interface ImportContext extends ImportPlace {
  readonly runId: string;
  readonly stored: StoredAccount;
  readonly store: MailStore;
  readonly session: StoreSession;
  /** The folders this run goes through: the account's, or the one it was asked for. */
  readonly folders: readonly string[];
  /** Whose turn it is: what a run begins or moves on is written by this. */
  readonly fence: Fence;
  /** What was read before the turn was taken, and holds as it is taken; undefined: this is a later round. */
  readonly found: { readonly open: OpenRows; readonly quiet: Quiet | undefined } | undefined;
  /** When the run's time began, by `performance.now()`: what it took to sign in is part of it. */
  readonly startedAt: number;
  readonly counts: RunCounts;
  /** Numbers the run's pages, for the rows that stand for them. */
  nextPage(): number;
  /**
   * What went wrong and did not end the run: a folder that is missing, a disposal that was refused. `trouble`: it is the
   * account's, and published as `mailroom.account.failing` at the run's end.
   */
  note(error: string, trouble?: AccountTrouble): void;
}
