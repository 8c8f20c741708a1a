import type { ContainerClient } from '@azure/storage-blob';
import type { StoredAccount } from '../accounts/account-store.ts';
import type { AccountHealth } from '../accounts/health.ts';
import type { Account } from '../accounts/rules.ts';
import type { MailStore } from '../adapters/store.ts';
import type { EventSink } from '../events/events.ts';
import type { Clock } from '../platform/clock.ts';
import type { RowTable } from '../platform/rows.ts';

/** What importing works with; made once per process. */
export interface InboxContext {
  readonly clock: Clock;
  /** Ledger, asset index, checkpoints, leases, runs: one partition per account. */
  readonly rows: RowTable;
  readonly assets: () => Promise<ContainerClient>;
  readonly quarantine: () => Promise<ContainerClient>;
  /** Queues an import of the account; `runId` where a caller was promised that run. */
  readonly enqueue: (
    account: string,
    options: { readonly runId?: string; readonly folder?: string; readonly delayMs?: number },
  ) => Promise<void>;
  /** The account as it is now: its rule decides over originals. */
  readonly account: (name: string, signal: AbortSignal) => Promise<StoredAccount | undefined>;
  readonly accounts: (signal: AbortSignal) => Promise<readonly StoredAccount[]>;
  /** Every account there is or was. */
  readonly accountNames: (signal: AbortSignal) => Promise<readonly string[]>;
  /** The account's store; undefined where it has none. */
  readonly store: (account: Account) => Promise<MailStore | undefined>;
  readonly events: EventSink;
  readonly health: AccountHealth;
  /** A run's time, below the function time-out. */
  readonly budgetMs: number;
}
