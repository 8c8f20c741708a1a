import { AccountSecrets, type ReaderOptions } from '../../shared/accounts/account-secrets.ts';
import { AccountStore } from '../../shared/accounts/account-store.ts';
import { AccountSummaries } from '../../shared/accounts/account-summaries.ts';
import type { Endpoint } from '../../shared/accounts/destinations.ts';
import { AccountHealth } from '../../shared/accounts/health.ts';
import type { Account } from '../../shared/accounts/rules.ts';
import { SummedRows } from '../../shared/accounts/summed-rows.ts';
import { createStore, type StoreContext } from '../../shared/adapters/connections/create-store.ts';
import { sharedTransports } from '../../shared/adapters/connections/shared-transports.ts';
import { dialogueOf } from '../../shared/adapters/dialogue.ts';
import { mailNetwork } from '../../shared/adapters/net/mail-network.ts';
import { tokenRefusal } from '../../shared/adapters/sign-in/token-refusal.ts';
import type { MailStore } from '../../shared/adapters/store.ts';
import type { MailTransport } from '../../shared/adapters/transport.ts';
import { AssetLibrary } from '../../shared/assets/library.ts';
import { TargetNetwork } from '../../shared/events/webhooks/target-network.ts';
import type { Services } from '../../shared/http/services.ts';
import type { InboxContext } from '../../shared/inbox/context.ts';
import { changesFacts } from '../../shared/inbox/inbox-facts.ts';
import { QuarantinedMails } from '../../shared/inbox/quarantine/quarantined-mails.ts';
import { AccountLimits } from '../../shared/limits/account-limits.ts';
import { BacklogLimit } from '../../shared/outbox/accepting/backlog-limit.ts';
import { findBounced } from '../../shared/outbox/bounces/find-bounced.ts';
import { markBounced } from '../../shared/outbox/bounces/mark-bounced.ts';
import type { OutboxContext } from '../../shared/outbox/context.ts';
import { RequeueSchedule } from '../../shared/outbox/delivering/requeue-schedule.ts';
import { WorkerQuota } from '../../shared/outbox/delivering/worker-quota.ts';
import { OpenAccounts } from '../../shared/outbox/open-accounts.ts';
import { changesFailures } from '../../shared/outbox/status.ts';
import { sleep, systemClock } from '../../shared/platform/clock.ts';
import { appCredential, storageCredential } from '../../shared/platform/credentials.ts';
import { log } from '../../shared/platform/log.ts';
import { type Rows, RowTable } from '../../shared/platform/rows.ts';
import { nextOccurrence } from '../../shared/platform/schedule.ts';
import { readSettings } from '../../shared/platform/settings.ts';
import { Shutdown } from '../../shared/platform/shutdown.ts';
import { containerNames, queueNames, storageClients, tableNames } from '../../shared/platform/storage.ts';
import { TimerWatch } from '../../shared/platform/timer-watch.ts';
import { BoundSecrets } from '../../shared/secrets/bound-secrets.ts';
import { keyVaultSecrets } from '../../shared/secrets/key-vault.ts';
import { DayCounts } from '../../shared/stats/day-counts.ts';
import { eventServices } from './event-services.ts';
import { pushServices } from './push-services.ts';

/** When each timer of the app is due (NCRONTAB), by the name of its function. */
export type Schedules = ReadonlyMap<string, { readonly schedule: string }>;

let made: Promise<Services> | undefined;

/** The services, made at the first call. Throws SettingsError for a missing or wrong setting, at every call. */
export function services(timers: Schedules): Promise<Services> {
  made ??= make(timers).catch((error) => {
    made = undefined;
    throw error;
  });
  return made;
}

/** The platform ends the process 5 s after it announced it (Azure Functions, `WorkerTerminate`). In ms. */
const workEndsWithinMs = 3_600;
const givenBackWithinMs = 700;

/**
 * For the end of the process, which comes in 5 s: begins nothing any more, lets what is under way end, and gives back
 * leases, connections and the right to send.
 */
export async function stopServices(): Promise<void> {
  const running = await made?.catch(() => undefined);
  if (!running) return;
  log.info('app.stopping');
  const unfinished = await running.shutdown.announce(workEndsWithinMs);
  await running.giveBack(givenBackWithinMs);
  log.info('app.stopped', { unfinished });
}

/** Queue messages are hidden for at most 7 days; a little less leaves room for clocks. */
const maxDelaySeconds = 7 * 86_400 - 60;

/** Longest search for the account that names a secret, in ms. */
const firstNamingMs = 30_000;

async function make(timers: Schedules): Promise<Services> {
  const settings = readSettings();
  const shutdown = new Shutdown();
  const clock = systemClock;
  const credential = appCredential(settings);
  const storage = storageClients(settings.storage, storageCredential(settings, credential));
  const secrets = keyVaultSecrets({ uri: settings.keyVaultUri, credential, clock });
  const accountRows = new RowTable(() => storage.table(tableNames.accounts));
  const summaries = new AccountSummaries(accountRows, clock);
  const outboxTable = new RowTable(() => storage.table(tableNames.outbox));
  const outboxRows: Rows = new SummedRows(outboxTable, summaries, changesFailures);
  shutdown.stopping.addEventListener('abort', () => outboxRows.endWaiting(), { once: true });
  const inboxTable = new RowTable(() => storage.table(tableNames.inbox));
  const inboxRows: Rows = new SummedRows(inboxTable, summaries, changesFacts);
  const webhookTargets = new TargetNetwork(settings.webhookNetworks);
  const uses = { secrets, bound: () => bound, webhookTargets, reachable: settings.publicUrl !== undefined };
  const accounts: AccountStore = new AccountStore(accountRows, uses, clock);
  const bound = new BoundSecrets(secrets, accountRows, (secret, { signal }) =>
    accounts.firstNaming(secret, { signal: signal ?? AbortSignal.timeout(firstNamingMs) }),
  );
  const accountSecrets = new AccountSecrets(accounts, bound);
  const overrides = { graphEndpoint: settings.graphEndpoint, authorityHost: settings.authorityHost };
  const limitRows = new RowTable(() => storage.table(tableNames.limits));
  const limits = new AccountLimits({ limits: limitRows, inbox: inboxRows }, clock);
  const network = mailNetwork(settings.mailNetworks);
  const tokens = tokenRefusal(settings.oauth2Hosts);
  const contextOf = (account: Account, end: Endpoint, options: ReaderOptions = {}) => ({
    secret: accountSecrets.reader(account.name, end, options),
    overrides,
    network,
    tokenRefusal: tokens,
    slots: limits.slots(account, end),
  });
  const transports = sharedTransports((account, end) => contextOf(account, end));
  /** Connections of their own, which nobody else uses, and which are closed when the trial is over. */
  const trial = (options: ReaderOptions) => {
    const own = sharedTransports((account, end) => contextOf(account, end, options));
    return {
      transport: (account: Account) => own.get(account),
      sentCopies: (account: Account) => own.sent(account),
      store: (account: Account) => storeOf(account, (store) => contextOf(account, store, options)),
      close: () => own.close(),
    };
  };

  /** Base64, as the Functions queue trigger expects; never expires (design section 4.1). */
  const enqueue = async (queue: 'mail-send' | 'mail-import' | 'mail-webhooks', body: unknown, delayMs: number) => {
    const text = Buffer.from(JSON.stringify(body)).toString('base64');
    await (await storage.queue(queue)).sendMessage(text, {
      messageTimeToLive: -1,
      visibilityTimeout: Math.min(Math.max(0, Math.ceil(delayMs / 1000)), maxDelaySeconds),
    });
  };

  const { events, webhooks, topic } = eventServices({
    ...{ settings, storage, clock, shutdown, credential, accounts, bound, summaries },
    network: webhookTargets,
    enqueue: (target, delayMs) => enqueue(queueNames.webhooks, { target }, delayMs),
  });
  const health = new AccountHealth(accountRows, events, clock);

  const outbox: OutboxContext = {
    clock,
    rows: outboxRows,
    dayCounts: new DayCounts(outboxRows),
    mime: () => storage.container(containerNames.outbox),
    uploads: () => storage.container(containerNames.uploads),
    enqueue: (id, delayMs, accepted) => enqueue(queueNames.send, { id, accepted }, delayMs),
    enqueueRelease: (account, delayMs) => enqueue(queueNames.send, { release: account }, delayMs),
    enqueueCopy: (id, delayMs) => enqueue(queueNames.send, { id, copy: true }, delayMs),
    account: async (name, signal) => (await accounts.find(name, { signal }))?.account,
    accountNames: (signal) => accounts.everyName({ signal }),
    transport: async (account): Promise<MailTransport | undefined> => await transports.get(account),
    sentCopies: (account) => transports.sent(account),
    rate: (account) => limits.rate(account),
    open: new OpenAccounts(outboxRows, clock),
    workers: new WorkerQuota(),
    schedule: new RequeueSchedule(clock),
    retryWaits: settings.retryWaitsMs,
    backlog: new BacklogLimit(outboxRows, clock, {
      max: settings.maxWaiting,
      withinMs: Math.max(...settings.retryWaitsMs),
    }),
    shutdown,
    events,
    health,
  };
  const inbox: InboxContext = {
    clock,
    rows: inboxRows,
    dayCounts: new DayCounts(inboxRows),
    assets: () => storage.container(containerNames.assets),
    quarantine: () => storage.container(containerNames.quarantine),
    enqueue: (account, { delayMs = 0, ...body }) => enqueue(queueNames.import, { account, ...body }, delayMs),
    account: (name, signal) => accounts.fresh(name, { signal }),
    accounts: (signal) => accounts.list({ signal }),
    noteQueued: (names, at) => accounts.noteQueued(names, at),
    accountNames: (signal) => accounts.everyName({ signal }),
    store: (account) => storeOf(account, (store) => contextOf(account, store)),
    events,
    bounces: {
      find: (report, options) => findBounced(outbox, report, options),
      mark: (bounce, options) => markBounced(outbox, bounce, options),
    },
    health,
    shutdown,
    budgetMs: settings.importBudgetMs,
  };
  const { push, pushSchedule } = pushServices({
    ...{ settings, clock, shutdown, accounts, accountRows, accountSecrets, secrets, overrides },
    enqueue: (entry, delayMs) => enqueue(queueNames.import, entry, delayMs),
  });
  const assets = new AssetLibrary(inboxRows, () => storage.container(containerNames.assets));
  const giveBack = async (withinMs: number) => {
    const closed = transports.close();
    await Promise.race([closed, sleep(withinMs / 2)]);
    await limits.releaseAll(withinMs / 2);
  };
  const watched = [...timers].map(([name, { schedule }]) => ({
    name,
    next: (afterMs: number) => nextOccurrence(schedule, afterMs),
  }));
  return {
    shutdown,
    giveBack,
    trial,
    settings,
    accounts,
    accountRows,
    summaries,
    secrets,
    bound,
    accountSecrets,
    outbox,
    inbox,
    push,
    pushSchedule,
    assets,
    quarantine: new QuarantinedMails(inbox),
    stats: { clock, counts: [inbox.dayCounts, outbox.dayCounts] },
    webhooks,
    topic,
    poison: (name) => storage.queue(name),
    timers: new TimerWatch(accountRows, watched, clock),
  };
}

async function storeOf(
  account: Account,
  context: (store: NonNullable<Account['store']>) => StoreContext,
): Promise<MailStore | undefined> {
  const { store, import: rule } = account;
  if (!store) {
    return undefined;
  }
  const deletesImmediately = rule.delete === 'immediately';
  return await createStore(store, { ...context(store), ...dialogueOf(account, store.protocol), deletesImmediately });
}
