import type { ContainerClient } from '@azure/storage-blob';
import type { AccountHealth } from '../accounts/health.ts';
import type { ProcessRate } from '../accounts/limits/process-rate.ts';
import type { Account } from '../accounts/rules.ts';
import type { MailTransport } from '../adapters/transport.ts';
import type { EventSink } from '../events/events.ts';
import type { Clock } from '../platform/clock.ts';
import type { RowTable } from '../platform/rows.ts';
import type { WaitingLine } from './waiting-line.ts';
import type { WorkerShare } from './worker-share.ts';

/** What sending works with; made once per process. */
export interface OutboxContext {
  readonly clock: Clock;
  /** Records, open messages and idempotency keys; one partition per account. */
  readonly rows: RowTable;
  /** The frozen MIME of every message. */
  readonly mime: () => Promise<ContainerClient>;
  /** Puts a message's id on the send queue, visible after `delayMs`. */
  readonly enqueue: (id: string, delayMs: number) => Promise<void>;
  /** Puts a message on the send queue for its copy for \Sent alone. */
  readonly enqueueCopy: (id: string, delayMs: number) => Promise<void>;
  readonly account: (name: string, signal: AbortSignal) => Promise<Account | undefined>;
  readonly accountNames: (signal: AbortSignal) => Promise<readonly string[]>;
  /** The account's transport, with its connections kept between calls; undefined where it has none. */
  readonly transport: (account: Account) => Promise<MailTransport | undefined>;
  /** What appends to the \Sent folder of the account's store; undefined where that is not on IMAP. */
  readonly sentCopies: (account: Account) => Promise<MailTransport | undefined>;
  /** How many mails the account may send in a minute, over all processes; undefined: no limit. */
  readonly rate: (account: Account) => ProcessRate | undefined;
  readonly workers: WorkerShare;
  readonly line: WaitingLine;
  readonly events: EventSink;
  readonly health: AccountHealth;
}
