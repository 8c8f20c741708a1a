import type { ContainerClient } from '@azure/storage-blob';
import type { AccountHealth } from '../accounts/health.ts';
import type { Account } from '../accounts/rules.ts';
import type { MailTransport } from '../adapters/transport.ts';
import type { EventSink } from '../events/events.ts';
import type { ProcessRate } from '../limits/process-rate.ts';
import type { Clock } from '../platform/clock.ts';
import type { Rows } from '../platform/rows.ts';
import type { Shutdown } from '../platform/shutdown.ts';
import type { DayCounts } from '../stats/day-counts.ts';
import type { BacklogLimit } from './accepting/backlog-limit.ts';
import type { RequeueSchedule } from './delivering/requeue-schedule.ts';
import type { RetryWaits } from './delivering/retry.ts';
import type { WorkerQuota } from './delivering/worker-quota.ts';
import type { OpenAccounts } from './open-accounts.ts';

/** The mails that an account may send in a minute, as this process has them. */
export type SendRate = Pick<ProcessRate, 'acquire' | 'paceMs'>;

/** What sending works with; made once per process. */
export interface OutboxContext {
  readonly clock: Clock;
  /** Records, open messages and idempotency keys; one partition per account. */
  readonly rows: Rows;
  /** What is counted per day, in the same table. */
  readonly dayCounts: DayCounts;
  /** The frozen MIME of every message. */
  readonly mime: () => Promise<ContainerClient>;
  /** Attachments that callers uploaded, for messages to come. */
  readonly uploads: () => Promise<ContainerClient>;
  /**
   * Puts a message's id on the send queue, visible after `delayMs`. `accepted`: etag of its record as it was accepted,
   * where the mail can be read as it was then (accepted-copy.ts).
   */
  readonly enqueue: (id: string, delayMs: number, accepted?: string) => Promise<void>;
  /** Puts a message on the send queue for its copy for \Sent alone. */
  readonly enqueueCopy: (id: string, delayMs: number) => Promise<void>;
  /** Has the waiting mail of an account released (release.ts) after `delayMs`. */
  readonly enqueueRelease: (account: string, delayMs: number) => Promise<void>;
  readonly account: (name: string, signal: AbortSignal) => Promise<Account | undefined>;
  readonly accountNames: (signal: AbortSignal) => Promise<readonly string[]>;
  /** The account's transport, with its connections kept between calls; undefined where it has none. */
  readonly transport: (account: Account) => Promise<MailTransport | undefined>;
  /** What appends to the \Sent folder of the account's store; undefined where that is not on IMAP. */
  readonly sentCopies: (account: Account) => Promise<MailTransport | undefined>;
  /** How many mails the account may send in a minute, over all processes; undefined: no limit. */
  readonly rate: (account: Account) => SendRate | undefined;
  /** Which accounts have open messages; whatever opens one is written through it. */
  readonly open: OpenAccounts;
  readonly workers: WorkerQuota;
  readonly schedule: RequeueSchedule;
  /** When an attempt is followed by another one. */
  readonly retryWaits: RetryWaits;
  /** How much mail of an account may wait. */
  readonly backlog: BacklogLimit;
  readonly shutdown: Shutdown;
  readonly events: EventSink;
  readonly health: AccountHealth;
}
