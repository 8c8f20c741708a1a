import type { TokenCredential } from '@azure/identity';
import type { AccountStore, StoredAccount } from '../../shared/accounts/account-store.ts';
import type { AccountSummaries } from '../../shared/accounts/account-summaries.ts';
import { SummedRows } from '../../shared/accounts/summed-rows.ts';
import { topic as topicTarget } from '../../shared/events/deliveries/delivery-rows.ts';
import { WakeUps } from '../../shared/events/deliveries/wake-ups.ts';
import type { TopicContext } from '../../shared/events/event-grid/context.ts';
import { topicSink } from '../../shared/events/event-grid/sink.ts';
import { topicClient } from '../../shared/events/event-grid/topic-client.ts';
import { type EventSink, toAll } from '../../shared/events/events.ts';
import { queueSink } from '../../shared/events/queue-sink.ts';
import type { WebhookAccount, WebhookContext } from '../../shared/events/webhooks/context.ts';
import { webhookSink } from '../../shared/events/webhooks/sink.ts';
import type { TargetNetwork } from '../../shared/events/webhooks/target-network.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import { RowTable } from '../../shared/platform/rows.ts';
import type { Settings } from '../../shared/platform/settings.ts';
import type { Shutdown } from '../../shared/platform/shutdown.ts';
import { queueNames, type StorageClients, tableNames } from '../../shared/platform/storage.ts';
import type { BoundSecrets } from '../../shared/secrets/bound-secrets.ts';

export interface EventParts {
  readonly settings: Settings;
  readonly storage: StorageClients;
  readonly clock: Clock;
  readonly shutdown: Shutdown;
  readonly credential: () => Promise<TokenCredential>;
  readonly accounts: AccountStore;
  readonly summaries: AccountSummaries;
  readonly bound: BoundSecrets;
  readonly network: TargetNetwork;
  /** Puts `{ target }` on queue `mail-webhooks`. */
  readonly enqueue: (target: string, delayMs: number) => Promise<void>;
}

/** Longest read of an account while an event is recorded, in ms. */
const readMs = 30_000;

/** Where events go, by the settings. */
export function eventServices(parts: EventParts): {
  readonly events: EventSink;
  readonly webhooks: WebhookContext;
  readonly topic: TopicContext;
} {
  const { settings, storage, clock, shutdown, accounts, bound } = parts;
  const table = new RowTable(() => storage.table(tableNames.events));
  const shared = {
    clock,
    shutdown,
    rows: new SummedRows(table, parts.summaries, (_, target) => target !== topicTarget),
    wakeUps: new WakeUps(parts.enqueue, clock),
  };
  const webhooks: WebhookContext = {
    ...shared,
    network: parts.network,
    recentAccount: async (name, { signal = AbortSignal.timeout(readMs) }) =>
      webhookAccount(await accounts.find(name, { signal })),
    account: async (name, signal) => webhookAccount(await accounts.fresh(name, { signal })),
    accounts: async (signal) =>
      (await accounts.list({ signal })).filter(({ account }) => account.webhook).map(({ account }) => account.name),
    accountNames: (signal) => accounts.everyName({ signal }),
    secrets: (account, name, { since, signal }) =>
      bound.readRecent(name, { account, kind: 'webhook' }, since, { signal }),
  };
  const { eventGridEndpoint } = settings;
  const client = eventGridEndpoint === undefined ? undefined : topicClient(eventGridEndpoint, parts.credential);
  const topic: TopicContext = { ...shared, client };
  const events = toAll([
    ...(settings.eventsQueue ? [queueSink(() => storage.queue(queueNames.events))] : []),
    ...(client ? [topicSink(topic)] : []),
    webhookSink(webhooks),
  ]);
  return { events, webhooks, topic };
}

/** An account as its webhook sees it. */
function webhookAccount(stored: StoredAccount | undefined): WebhookAccount | undefined {
  return stored && { webhook: stored.account.webhook, version: stored.etag };
}
