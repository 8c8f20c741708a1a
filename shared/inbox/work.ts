import type { StoredAccount } from '../accounts/account-store.ts';
import type { MailStore, StoreSession } from '../adapters/store.ts';
import type { InboxContext } from './context.ts';
import type { RunCounts } from './runs.ts';

/** What the holder of an account's lease works with: one signed-in session, one run. */
export interface Work {
  readonly context: InboxContext;
  /** The account's name. */
  readonly name: string;
  readonly runId: string;
  readonly stored: StoredAccount;
  readonly store: MailStore;
  readonly session: StoreSession;
  /** The folders this run goes through: the account's, or the one it was asked for. */
  readonly folders: readonly string[];
  /** Ends everything at once: the lease was lost, the time is over. */
  readonly signal: AbortSignal;
  readonly counts: RunCounts;
  /** Numbers the run's pages, for the rows that stand for them. */
  nextPage(): number;
  /** Told and gone on from: a target folder that is missing, a mail that was refused. */
  note(error: string): void;
}
