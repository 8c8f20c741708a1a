import type { AccountSecrets, ReaderOptions } from '../accounts/account-secrets.ts';
import type { AccountStore } from '../accounts/account-store.ts';
import type { AccountSummaries } from '../accounts/account-summaries.ts';
import type { VerifyContext } from '../adapters/verify/verify.ts';
import type { AssetLibrary } from '../assets/library.ts';
import type { TopicContext } from '../events/event-grid/context.ts';
import type { WebhookContext } from '../events/webhooks/context.ts';
import type { InboxContext } from '../inbox/context.ts';
import type { PushContext } from '../inbox/push/context.ts';
import type { PushSchedule } from '../inbox/push/schedule.ts';
import type { QuarantinedMails } from '../inbox/quarantine/quarantined-mails.ts';
import type { OutboxContext } from '../outbox/context.ts';
import type { PoisonQueue } from '../platform/poison-queue.ts';
import type { RowTable } from '../platform/rows.ts';
import type { Settings } from '../platform/settings.ts';
import type { Shutdown } from '../platform/shutdown.ts';
import type { PoisonQueueName } from '../platform/storage.ts';
import type { TimerWatch } from '../platform/timer-watch.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { StatsContext } from '../stats/stats.ts';

/** Everything that handlers and jobs call; one of each per process. */
export interface Services {
  readonly shutdown: Shutdown;
  /** Closes connections and gives back what the limits of the accounts gave. */
  giveBack(withinMs: number): Promise<void>;
  readonly settings: Settings;
  readonly accounts: AccountStore;
  readonly accountRows: RowTable;
  /** A summary of each account, for lists of many. */
  readonly summaries: AccountSummaries;
  readonly secrets: SecretStore;
  readonly bound: BoundSecrets;
  readonly accountSecrets: AccountSecrets;
  /** For a verification: endpoints of accounts that need not be stored. */
  trial(options: ReaderOptions): VerifyContext & { close(): Promise<unknown> };
  readonly outbox: OutboxContext;
  readonly inbox: InboxContext;
  readonly push: PushContext;
  readonly pushSchedule: PushSchedule;
  readonly assets: AssetLibrary;
  readonly quarantine: QuarantinedMails;
  readonly stats: StatsContext;
  readonly webhooks: WebhookContext;
  readonly topic: TopicContext;
  /** The poison queue of a queue: what the host gave up. */
  poison(name: PoisonQueueName): Promise<PoisonQueue>;
  /** When each timer last ran. */
  readonly timers: TimerWatch;
}
