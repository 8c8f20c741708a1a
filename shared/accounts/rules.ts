import type { Webhook } from '../events/webhooks/webhook.ts';
import type { Mistake } from '../platform/refusal.ts';
import { checkFields, peek, toPointer } from '../platform/validation.ts';
import { isReadableBundle } from './certificate-bundle.ts';
import { parseFolderName } from './graph-folder-name.ts';
import { defaultSchedules } from './import-schedule.ts';
import {
  type AccountInput,
  type AccountLimits,
  accountInputSchema,
  accountNameSchema,
  defaultPorts,
  type GraphStoreConfig,
  type ImportRule,
  type Located,
  type ServerStoreConfig,
  type ServerTransportConfig,
  type StoreConfig,
  type TransportConfig,
} from './model.ts';

/** An account as it is used: checked, every default filled in. This is also what GET and PUT answer. */
export interface Account {
  readonly name: string;
  readonly from: string;
  readonly sender?: string;
  readonly allowedFrom: readonly string[];
  readonly transport?: Located<TransportConfig>;
  readonly store?: Located<StoreConfig>;
  readonly import: ImportRule & {
    readonly schedule: string | null;
    readonly deleteMode: 'trash' | 'permanent';
    readonly markRead: boolean;
  };
  readonly limits: AccountLimits & { readonly perMinute: number | null };
  readonly webhook: Webhook | null;
  readonly enabled: boolean;
  readonly debug: boolean;
}

/** What a rule goes by that the account does not say. */
export interface RuleOptions {
  /** Microsoft Graph can call the app: it has a public URL. Default: it can. */
  readonly reachable?: boolean;
}

/** An account that an input describes, and what to warn of. */
export interface ResolvedAccount {
  readonly account: Account;
  /** What is allowed but probably not meant. */
  readonly warnings: readonly Mistake[];
}

/**
 * IMAP compares the name INBOX without regard to case, and no other (RFC 9051 section 5.1). Exchange compares all names
 * so, and no ids.
 */
function folderKey(folder: string, graph: boolean): string {
  if (graph) return folder.startsWith('id:') ? folder : folder.toLowerCase();
  return folder.toUpperCase() === 'INBOX' ? 'INBOX' : folder;
}

const isPop = (protocol: unknown): boolean => protocol === 'pop3' || protocol === 'pop3s';
const isSmtp = (protocol: unknown): boolean => protocol === 'smtp' || protocol === 'smtps';

/** Whether a secret's name is one that the account may use. Letter case is no matter, as in Key Vault. */
export function isSecretNameOf(account: string, secret: string): boolean {
  const prefix = `${account}-`;
  return secret.length > prefix.length && secret.toLowerCase().startsWith(prefix.toLowerCase());
}

/** The name that a person may have meant who gave a label such as `Corpus_Mail`; undefined where none can be made of it. */
function suggestedName(name: string): string | undefined {
  const plain = name
    .slice(0, 200)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 33)
    .replace(/^-|-$/g, '')
    .slice(0, 32)
    .replace(/-$/, '');
  return accountNameSchema.safeParse(plain).success ? plain : undefined;
}

const folderDetail =
  'must be a well-known name such as inbox, "id:" with a folder\'s id, or a path such as inbox/Invoices (\\/ for a slash in a name)';

/**
 * Rules across fields, tried on the input as it came, so that their mistakes are found even if another field is wrong.
 * Whatever has the wrong type here is a mistake that the schema finds.
 */
function crossMistakes(name: string, input: unknown): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  const inputName = peek(input, ['name']);
  if (typeof inputName === 'string' && inputName !== name)
    mistakes.push({ pointer: '/name', detail: 'is not the account of the path' });

  const signIns = ['transport', 'store'].flatMap((side) => [
    [side, 'auth'],
    [side, 'credential'],
    [side, 'auth', 'credential'],
  ]);
  for (const object of [...signIns, ['webhook']]) {
    const path = [...object, 'secret'];
    const secret = peek(input, path);
    if (typeof secret === 'string' && !isSecretNameOf(name, secret))
      mistakes.push({ pointer: toPointer(path), detail: `must start with "${name}-"` });
  }

  const storeProtocol = peek(input, ['store', 'protocol']);
  const graph = storeProtocol === 'graph';
  const given = peek(input, ['store', 'folders']);
  const folders = (Array.isArray(given) ? given : [graph ? 'inbox' : 'INBOX']).map((each: unknown) =>
    typeof each === 'string' ? folderKey(each, graph) : undefined,
  );
  folders.forEach((folder, index) => {
    if (folder !== undefined && folders.indexOf(folder) < index)
      mistakes.push({ pointer: toPointer(['store', 'folders', index]), detail: 'is named twice' });
  });

  if (peek(input, ['transport', 'saveToSent']) === true && storeProtocol !== 'imap' && storeProtocol !== 'imaps')
    mistakes.push({ pointer: '/transport/saveToSent', detail: 'needs a store on imap or imaps to append the copy to' });

  const moveTo = peek(input, ['import', 'moveTo']);
  if (isPop(storeProtocol)) {
    if (typeof moveTo === 'string')
      mistakes.push({ pointer: '/import/moveTo', detail: 'POP3 has no folders to move mail to' });
    if (peek(input, ['import', 'deleteMode']) === 'trash')
      mistakes.push({ pointer: '/import/deleteMode', detail: 'POP3 has no trash: it deletes for good' });
  }
  if (graph) {
    const named: readonly unknown[] = Array.isArray(given) ? given : [];
    named.forEach((folder, index) => {
      if (typeof folder === 'string' && !parseFolderName(folder))
        mistakes.push({ pointer: toPointer(['store', 'folders', index]), detail: folderDetail });
    });
    if (typeof moveTo === 'string' && !parseFolderName(moveTo))
      mistakes.push({ pointer: '/import/moveTo', detail: folderDetail });
  }
  if (typeof moveTo === 'string') {
    if (folders.includes(folderKey(moveTo, graph)))
      mistakes.push({ pointer: '/import/moveTo', detail: 'must not be one of the folders that are imported' });
    if ((peek(input, ['import', 'delete']) ?? 'never') !== 'never')
      mistakes.push({ pointer: '/import/moveTo', detail: 'excludes delete: a mail is moved or deleted, not both' });
  }
  return mistakes;
}

function serverWarnings(
  side: 'transport' | 'store',
  server: ServerTransportConfig | ServerStoreConfig,
): readonly Mistake[] {
  const { host, auth, tls } = server;
  const warnings: Mistake[] = [];
  const warn = (field: string, detail: string) => warnings.push({ pointer: `/${side}${field}`, detail });
  const plain = !server.protocol.endsWith('s');
  const encrypts = !(plain && tls.starttls === 'never');
  if (!encrypts && auth.type !== 'none')
    warn(
      '/tls/starttls',
      auth.type === 'oauth2'
        ? 'is never, and an access token is not sent unencrypted: every connection will be refused'
        : 'the password crosses the network unencrypted',
    );
  if (encrypts && tls.trust === '*') warn('/tls/trust', "the server's certificate is not checked at all");
  if (encrypts && Array.isArray(tls.trust) && !tls.trust.some((each) => each.toLowerCase() === host.toLowerCase()))
    warn('/tls/trust', `does not name ${host}: every connection to it will be refused`);
  if (encrypts && tls.ca !== null && tls.trust !== undefined)
    warn('/tls/ca', 'is not used: with tls.trust neither chain nor name is checked');
  else if (encrypts && tls.ca !== null && !isReadableBundle(tls.ca))
    warn('/tls/ca', 'is no readable bundle of certificates: every connection will be refused');
  if (!plain && tls.starttls !== 'preferred') warn('/tls/starttls', `is not used: ${server.protocol} begins with TLS`);
  if (auth.type === 'none' && !isSmtp(server.protocol))
    warn(
      '/auth',
      isPop(server.protocol)
        ? 'is none, and POP3 always signs in: every connection will be refused'
        : 'is none, and IMAP signs in: only a server that greets with PREAUTH can be used',
    );
  if (encrypts && (tls.minVersion === 'TLSv1' || tls.minVersion === 'TLSv1.1'))
    warn('/tls/minVersion', 'allows a version of TLS that is no longer safe (RFC 8996)');
  if (server.connectionTimeout === 0) warn('/connectionTimeout', '0 means no limit of its own');
  if (server.timeout === 0) warn('/timeout', '0 means no limit of its own');
  return warnings;
}

function graphWarnings(account: Account, store: GraphStoreConfig, reachable: boolean): readonly Mistake[] {
  const warnings: Mistake[] = [];
  const warn = (pointer: string, detail: string) => warnings.push({ pointer, detail });
  // Microsoft Learn, "message: permanentDelete": the global cloud only.
  if (store.cloud !== 'global' && account.import.deleteMode === 'permanent')
    warn('/import/deleteMode', 'this cloud cannot delete for good: mail goes to Deleted Items');
  if (!store.push) return warnings;
  if (!reachable)
    warn('/store/push', 'Microsoft Graph cannot reach the app, which has no PUBLIC_URL: mail is found by the schedule');
  else if (account.import.schedule === null)
    warn('/import/schedule', 'is null: mail whose notification is lost waits for the next one, or for a request');
  // Microsoft Learn, "subscription resource type": such a name does not work in the resource.
  if (store.userId.includes("'"))
    warn('/store/userId', 'has an apostrophe, with which Graph makes no subscription: name the object id for push');
  return warnings;
}

function warningsOf(account: Account, reachable: boolean): readonly Mistake[] {
  const { transport, store } = account;
  const warnings: Mistake[] = [];
  if (!transport && !store)
    warnings.push({ pointer: '', detail: 'has neither transport nor store: it can neither send nor import' });
  if (transport && transport.protocol !== 'graph' && transport.protocol !== 'sink')
    warnings.push(...serverWarnings('transport', transport));
  if (account.sender !== undefined && transport && !isSmtp(transport.protocol) && transport.protocol !== 'sink')
    warnings.push({ pointer: '/sender', detail: `${transport.protocol} sends without an envelope: it is not used` });
  if (store)
    warnings.push(
      ...(store.protocol === 'graph' ? graphWarnings(account, store, reachable) : serverWarnings('store', store)),
    );
  if (isPop(store?.protocol) && account.import.markRead)
    warnings.push({ pointer: '/import/markRead', detail: 'POP3 has no read state: nothing is marked' });
  return warnings;
}

function withPort<T extends ServerTransportConfig | ServerStoreConfig>(server: T): T & { readonly port: number } {
  return { ...server, port: server.port ?? defaultPorts[server.protocol] };
}

const located = {
  transport: (end: TransportConfig): Located<TransportConfig> =>
    end.protocol === 'graph' || end.protocol === 'sink' ? end : withPort(end),
  store: (end: StoreConfig): GraphStoreConfig | (ServerStoreConfig & { readonly port: number }) =>
    end.protocol === 'graph' ? end : withPort(end),
};

function withDefaults(name: string, input: AccountInput, reachable: boolean): Account {
  const { transport, store } = input;
  const pushed = store?.protocol === 'graph' && store.push && reachable;
  return {
    name,
    from: input.from.trim(),
    ...(input.sender === undefined ? {} : { sender: input.sender.trim() }),
    allowedFrom: input.allowedFrom,
    ...(transport ? { transport: located.transport(transport) } : {}),
    ...(store ? { store: located.store(store) } : {}),
    // IMAP has no trash of its own; a \Trash folder is used only where it is asked for. Every Graph mailbox has one.
    import: {
      ...input.import,
      schedule:
        input.import.schedule === undefined ? defaultSchedules[pushed ? 'pushed' : 'polled'] : input.import.schedule,
      markRead: input.import.markRead ?? !isPop(store?.protocol),
      deleteMode: input.import.deleteMode ?? (store?.protocol === 'graph' ? 'trash' : 'permanent'),
    },
    // Exchange Online takes 30 mails a minute from a mailbox ("Sending limits", Exchange Online limits).
    limits: {
      ...input.limits,
      perMinute:
        input.limits.perMinute === undefined ? (transport?.protocol === 'graph' ? 30 : null) : input.limits.perMinute,
    },
    webhook: input.webhook,
    enabled: input.enabled,
    debug: input.debug,
  };
}

/**
 * The account that an input of `PUT /accounts/{name}` describes. Throws Refusal `invalid` with every mistake at once. An
 * account that was answered once resolves to itself.
 */
export function resolveAccount(name: string, input: unknown, options: RuleOptions = {}): ResolvedAccount {
  const { reachable = true } = options;
  const nameIssues = accountNameSchema.safeParse(name).error?.issues ?? [];
  const suggestion = nameIssues.length > 0 ? suggestedName(name) : undefined;
  const hint = suggestion === undefined ? '' : `; try "${suggestion}"`;
  const nameMistakes = nameIssues.map(({ message }) => ({
    pointer: '',
    detail: `the account's name ${message}${hint}`,
  }));
  const more = nameMistakes.length > 0 ? nameMistakes : crossMistakes(name, input);
  const account = withDefaults(name, checkFields(accountInputSchema, input).complete(more), reachable);
  return { account, warnings: warningsOf(account, reachable) };
}
