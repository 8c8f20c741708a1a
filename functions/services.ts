import type { AccountStore } from '../shared/accounts/account-store.ts';
import type { Account } from '../shared/accounts/rules.ts';
import type { StoreContext } from '../shared/adapters/create-store.ts';
import type { MailStore } from '../shared/adapters/store.ts';
import type { MailTransport } from '../shared/adapters/transport.ts';
import type { AssetLibrary } from '../shared/assets/library.ts';
import type { InboxContext } from '../shared/inbox/context.ts';
import type { OutboxContext } from '../shared/outbox/context.ts';
import type { RowTable } from '../shared/platform/rows.ts';
import type { Settings } from '../shared/platform/settings.ts';
import type { SecretStore } from '../shared/secrets/secret-store.ts';

/** Everything the functions call; one of each per process. */
export interface Services {
  readonly settings: Settings;
  readonly accounts: AccountStore;
  readonly accountRows: RowTable;
  readonly secrets: SecretStore;
  readonly outbox: OutboxContext;
  readonly inbox: InboxContext;
  readonly assets: AssetLibrary;
}

let made: Promise<Services> | undefined;

/** The services, made at the first call. Throws SettingsError for a missing or wrong setting, at every call. */
export function services(): Promise<Services> {
  made ??= make().catch((error) => {
    made = undefined;
    throw error;
  });
  return made;
}

/** Queue messages are hidden for at most 7 days; a little less leaves room for clocks. */
const maxDelaySeconds = 7 * 86_400 - 60;

/** Heavy SDKs are loaded here and by the clients' first use, never while the app starts. */
async function make(): Promise<Services> {
  const [
    { readSettings },
    { appCredential, storageCredential },
    { containerNames, queueNames, storageClients, tableNames },
    { RowTable },
    { systemClock },
    { keyVaultSecrets },
    { AccountStore },
    { accountHealth },
    { AccountLimits },
    { queueEvents },
    { AssetLibrary },
    { sharedTransports },
    { WaitingLine },
    { WorkerShare },
  ] = await Promise.all([
    import('../shared/platform/settings.ts'),
    import('../shared/platform/credentials.ts'),
    import('../shared/platform/storage.ts'),
    import('../shared/platform/rows.ts'),
    import('../shared/platform/clock.ts'),
    import('../shared/secrets/key-vault.ts'),
    import('../shared/accounts/account-store.ts'),
    import('../shared/accounts/health.ts'),
    import('../shared/accounts/limits/account-limits.ts'),
    import('../shared/events/events.ts'),
    import('../shared/assets/library.ts'),
    import('../shared/adapters/shared-transports.ts'),
    import('../shared/outbox/waiting-line.ts'),
    import('../shared/outbox/worker-share.ts'),
  ]);
  const settings = readSettings();
  const clock = systemClock;
  const credential = appCredential(settings);
  const storage = storageClients(settings.storage, storageCredential(settings, credential));
  const secrets = keyVaultSecrets({ uri: settings.keyVaultUri, credential, clock });
  const accountRows = new RowTable(() => storage.table(tableNames.accounts));
  const outboxRows = new RowTable(() => storage.table(tableNames.outbox));
  const inboxRows = new RowTable(() => storage.table(tableNames.inbox));
  const accounts = new AccountStore(accountRows, secrets, clock);
  const events = queueEvents(() => storage.queue(queueNames.events));
  const health = accountHealth(accountRows, events, clock);
  const readSecret = (name: string, signal: AbortSignal) => secrets.get(name, { signal });
  const overrides = { graphEndpoint: settings.graphEndpoint, authorityHost: settings.authorityHost };
  const limits = new AccountLimits(new RowTable(() => storage.table(tableNames.limits)), clock);
  const transports = sharedTransports(readSecret, overrides, (account, end) => limits.slots(account, end));

  /** Base64, as the Functions queue trigger expects; never expires (design section 4.1). */
  const enqueue = async (queue: 'mail-send' | 'mail-import', body: unknown, delayMs: number) => {
    const text = Buffer.from(JSON.stringify(body)).toString('base64');
    await (await storage.queue(queue)).sendMessage(text, {
      messageTimeToLive: -1,
      visibilityTimeout: Math.min(Math.max(0, Math.ceil(delayMs / 1000)), maxDelaySeconds),
    });
  };

  const outbox: OutboxContext = {
    clock,
    rows: outboxRows,
    mime: () => storage.container(containerNames.outbox),
    enqueue: (id, delayMs) => enqueue(queueNames.send, { id }, delayMs),
    enqueueCopy: (id, delayMs) => enqueue(queueNames.send, { id, copy: true }, delayMs),
    account: async (name, signal) => (await accounts.find(name, { signal }))?.account,
    accountNames: (signal) => accounts.everyName({ signal }),
    transport: async (account): Promise<MailTransport | undefined> => await transports.get(account),
    sentCopies: (account) => transports.sent(account),
    rate: (account) => limits.rate(account),
    workers: new WorkerShare(),
    line: new WaitingLine(clock),
    events,
    health,
  };
  const inbox: InboxContext = {
    clock,
    rows: inboxRows,
    assets: () => storage.container(containerNames.assets),
    quarantine: () => storage.container(containerNames.quarantine),
    enqueue: (account, { delayMs = 0, ...body }) => enqueue(queueNames.import, { account, ...body }, delayMs),
    account: (name, signal) => accounts.fresh(name, { signal }),
    accounts: (signal) => accounts.list({ signal }),
    accountNames: (signal) => accounts.everyName({ signal }),
    store: (account) =>
      storeOf(account, (store) => ({ secret: readSecret, overrides, slots: limits.slots(account, store) })),
    events,
    health,
    budgetMs: settings.importBudgetMs,
  };
  const assets = new AssetLibrary(inboxRows, () => storage.container(containerNames.assets));
  return { settings, accounts, accountRows, secrets, outbox, inbox, assets };
}

async function storeOf(
  account: Account,
  context: (store: NonNullable<Account['store']>) => StoreContext,
): Promise<MailStore | undefined> {
  const { store, import: rule } = account;
  if (!store) {
    return undefined;
  }
  const [{ createStore }, { dialogueOf }] = await Promise.all([
    import('../shared/adapters/create-store.ts'),
    import('../shared/adapters/dialogue.ts'),
  ]);
  const deletesAtOnce = rule.delete === 'immediately';
  return await createStore(store, { ...context(store), ...dialogueOf(account, store.protocol), deletesAtOnce });
}
