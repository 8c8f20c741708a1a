import type { ContainerClient } from '@azure/storage-blob';
import type { StoredAccount } from '../accounts/account-store.ts';
import type { AccountHealth } from '../accounts/health.ts';
import type { Account } from '../accounts/rules.ts';
import type { MailStore } from '../adapters/store.ts';
import type { EventSink } from '../events/events.ts';
import type { Bounce } from '../outbox/bounces/mark-bounced.ts';
import type { BounceReport } from '../outbox/bounces/report.ts';
import type { Clock } from '../platform/clock.ts';
import type { Rows } from '../platform/rows.ts';
import type { Shutdown } from '../platform/shutdown.ts';
import type { DayCounts } from '../stats/day-counts.ts';

/** Who takes bounces of mail that this service sent. */
export interface BounceReceiver {
  /** The message that a bounce is about; undefined where this service has not sent it. */
  find(report: BounceReport, options: { readonly signal: AbortSignal }): Promise<string | undefined>;
  /** Notes a bounce with its message; harmless to repeat. False: not now, it is to be done later. */
  mark(bounce: Bounce, options: { readonly signal: AbortSignal }): Promise<boolean>;
}

/** What importing works with; made once per process. */
export interface InboxContext {
  readonly clock: Clock;
  /** Ledger, asset index, checkpoints, leases, runs: one partition per account. */
  readonly rows: Rows;
  /** What is counted per day, in the same table. */
  readonly dayCounts: DayCounts;
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
  /** Notes when imports of these accounts, 100 at most, were queued by their schedules; in ms since the epoch. */
  readonly noteQueued: (accounts: readonly string[], at: number) => Promise<void>;
  /** Every account there is or was. */
  readonly accountNames: (signal: AbortSignal) => Promise<readonly string[]>;
  /** The account's store; undefined where it has none. */
  readonly store: (account: Account) => Promise<MailStore | undefined>;
  readonly events: EventSink;
  readonly bounces: BounceReceiver;
  readonly health: AccountHealth;
  readonly shutdown: Shutdown;
  /** A run's time, below the function time-out. */
  readonly budgetMs: number;
}
