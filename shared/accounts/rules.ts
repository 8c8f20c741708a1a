import { parseFolderName } from '../adapters/graph/folder-name.ts';
import { isReadableBundle } from '../adapters/tls.ts';
import type { Mistake } from '../http/problem.ts';
import { checkFields, peek, toPointer } from '../http/validation.ts';
import {
  type AccountInput,
  type AccountLimits,
  accountInputSchema,
  accountNameSchema,
  defaultPorts,
  type GraphStoreConfig,
  type GraphTransportConfig,
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
  readonly import: ImportRule & { readonly deleteMode: 'trash' | 'permanent'; readonly markRead: boolean };
  readonly limits: AccountLimits & { readonly perMinute: number | null };
  readonly webhook: null;
  readonly enabled: boolean;
  readonly debug: boolean;
}

export interface ResolvedAccount {
  readonly account: Account;
  /** What is allowed and yet hardly meant. */
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

/** A secret that an account names, and where in its document. */
export interface NamedSecret {
  readonly pointer: string;
  readonly name: string;
}

/** Every secret an account names. */
export function secretsOf({ transport, store }: Pick<Account, 'transport' | 'store'>): readonly NamedSecret[] {
  return (['transport', 'store'] as const).flatMap((side) => {
    const end = side === 'transport' ? transport : store;
    if (!end) return [];
    if (end.protocol !== 'graph' && end.auth.type === 'password')
      return [{ pointer: `/${side}/auth/secret`, name: end.auth.secret }];
    const [field, credential] =
      end.protocol === 'graph'
        ? ['credential', end.credential]
        : ['auth/credential', end.auth.type === 'oauth2' ? end.auth.credential : undefined];
    return !credential || credential.type === 'managedIdentity'
      ? []
      : [{ pointer: `/${side}/${field}/secret`, name: credential.secret }];
  });
}

const folderDetail =
  'must be a well-known name such as inbox, "id:" with a folder\'s id, or a path such as inbox/Invoices (\\/ for a slash in a name)';

/**
 * Rules across fields, tried on the input as it came, so that they also speak when another field is wrong. Whatever has
 * the wrong type here is told by the schema.
 */
function crossMistakes(name: string, input: unknown): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  const inputName = peek(input, ['name']);
  if (typeof inputName === 'string' && inputName !== name)
    mistakes.push({ pointer: '/name', detail: 'is not the account of the path' });

  for (const side of ['transport', 'store']) {
    for (const fields of [['auth'], ['credential'], ['auth', 'credential']]) {
      const path = [side, ...fields, 'secret'];
      const secret = peek(input, path);
      if (typeof secret === 'string' && !(secret.startsWith(`${name}-`) && secret.length > name.length + 1))
        mistakes.push({ pointer: toPointer(path), detail: `must start with "${name}-"` });
    }
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
      `the ${auth.type === 'oauth2' ? 'access token' : 'password'} crosses the network unencrypted`,
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

function graphWarnings(account: Account, store: GraphStoreConfig): readonly Mistake[] {
  // Microsoft Learn, "message: permanentDelete": the global cloud only.
  return store.cloud !== 'global' && account.import.deleteMode === 'permanent'
    ? [{ pointer: '/import/deleteMode', detail: 'this cloud cannot delete for good: mail goes to Deleted Items' }]
    : [];
}

function warningsOf(account: Account): readonly Mistake[] {
  const { transport, store } = account;
  const warnings: Mistake[] = [];
  if (!transport && !store)
    warnings.push({ pointer: '', detail: 'has neither transport nor store: it can neither send nor import' });
  if (transport && transport.protocol !== 'graph') warnings.push(...serverWarnings('transport', transport));
  if (account.sender !== undefined && transport && !isSmtp(transport.protocol))
    warnings.push({ pointer: '/sender', detail: `${transport.protocol} sends without an envelope: it is not used` });
  if (store)
    warnings.push(...(store.protocol === 'graph' ? graphWarnings(account, store) : serverWarnings('store', store)));
  if (isPop(store?.protocol) && account.import.markRead)
    warnings.push({ pointer: '/import/markRead', detail: 'POP3 has no read state: nothing is marked' });
  return warnings;
}

function withPort<T extends ServerTransportConfig | ServerStoreConfig>(server: T): T & { readonly port: number } {
  return { ...server, port: server.port ?? defaultPorts[server.protocol] };
}

const located = {
  transport: (end: TransportConfig): GraphTransportConfig | (ServerTransportConfig & { readonly port: number }) =>
    end.protocol === 'graph' ? end : withPort(end),
  store: (end: StoreConfig): GraphStoreConfig | (ServerStoreConfig & { readonly port: number }) =>
    end.protocol === 'graph' ? end : withPort(end),
};

function withDefaults(name: string, input: AccountInput): Account {
  const { transport, store } = input;
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
 * The account that an input of `PUT /accounts/{name}` describes. Throws HttpProblem 400 with every mistake at once. An
 * account that was answered once resolves to itself.
 */
export function resolveAccount(name: string, input: unknown): ResolvedAccount {
  const nameIssues = accountNameSchema.safeParse(name).error?.issues ?? [];
  const nameMistakes = nameIssues.map(({ message }) => ({ pointer: '', detail: `the account's name ${message}` }));
  const more = nameMistakes.length > 0 ? nameMistakes : crossMistakes(name, input);
  const account = withDefaults(name, checkFields(accountInputSchema, input).complete(more));
  return { account, warnings: warningsOf(account) };
}
