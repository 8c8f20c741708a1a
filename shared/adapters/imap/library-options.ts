import type { ImapFlowOptions } from 'imapflow';
import { defaultPorts, type StoreConfig } from '../../accounts/model.ts';
import type { DialogueLog } from '../dialogue.ts';
import { mailNetwork, type NetworkPolicy } from '../net/mail-network.ts';
import { explainNetError } from '../net/net-errors.ts';
import { tlsOptions } from '../net/tls.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { StoreError } from '../store.ts';
import { libraryLog } from './library-log.ts';

/** What a connection needs of a store or a transport. */
export type ImapConnectionConfig = Omit<Extract<StoreConfig, { protocol: 'imap' | 'imaps' }>, 'folders'>;

/** The longest a timer can be set to. Stands for "no limit of its own": the caller's signal then bounds everything. */
const NO_LIMIT = 2 ** 31 - 1;
/**
 * Largest single literal. The session asks for at most 1 MiB at a time and takes whole mails only where the server says
 * they are small; the rest is room for a server that counts wrongly. Beyond it the connection is given up.
 */
export const MAX_LITERAL = 16 * 1024 * 1024;
/**
 * Longest line. The longest there are is an answer to SEARCH, 11 octets a mail: of a larger folder it is asked for in
 * pieces (see `findUidsAbove`).
 */
export const MAX_LINE = 1024 * 1024;
/** Numbers, words and lists of one answer: each is an object of a hundred octets and more. */
const MAX_TOKENS = 100_000;

/** What the library is given beside what the account says. */
export interface LibraryContext {
  readonly dialogue?: DialogueLog | undefined;
  /** Which addresses may be connected to; absent: none of the machine's own networks. */
  readonly network?: NetworkPolicy | undefined;
}

/** A host that is an address is not looked up: it is judged before. */
function checkAddress(host: string, network: NetworkPolicy): void {
  try {
    network.checkHost(host);
  } catch (error) {
    const { code, hint } = explainNetError(error);
    throw new StoreError('connection', `${host} is not connected to`, { code, hint, cause: error });
  }
}

/**
 * Options of the library for one account, but for the sign-in. Throws StoreError where the account forbids TLS to this
 * host. Credentials are never sent unencrypted unless `starttls` is `never`: with them, STARTTLS `preferred` is as good
 * as `required`.
 */
export function libraryOptions(
  config: ImapConnectionConfig,
  credentials: Credentials,
  { dialogue, network = mailNetwork() }: LibraryContext = {},
): ImapFlowOptions {
  const { host, tls } = config;
  const secure = config.protocol === 'imaps';
  const plain = !secure && tls.starttls === 'never';
  const allowed = plain ? undefined : tlsOptions(host, tls);
  if (allowed?.ok === false) {
    throw new StoreError('connection', allowed.reason, { code: 'TLS_NOT_ALLOWED', hint: allowed.reason });
  }
  checkAddress(host, network);
  const mustUpgrade = tls.starttls === 'required' || credentials.kind !== 'none';
  return {
    host,
    port: config.port ?? defaultPorts[config.protocol],
    secure,
    ...(secure ? {} : plain ? { doSTARTTLS: false } : mustUpgrade ? { doSTARTTLS: true } : {}),
    // The library connects with these options, with TLS and without.
    tls: { ...allowed?.options, lookup: network.lookup },
    clientInfo: { name: 'Mailroom', vendor: 'Mailroom', version: '', 'support-url': '' },
    connectionTimeout: config.connectionTimeout || NO_LIMIT,
    greetingTimeout: config.timeout || NO_LIMIT,
    // The connection watches for silence itself: the library's watch would also cut a session that merely has nothing
    // to ask for a while, as when a large mail goes to storage.
    socketTimeout: NO_LIMIT,
    logger: dialogue ? libraryLog(dialogue) : false,
    disableAutoIdle: true,
    // Extensions are not switched on: CONDSTORE and IMAP4rev2 change what answers look like, UTF8 what names look like.
    disableAutoEnable: true,
    disableIMAP4rev2: true,
    // Bytes of a mail are bounded by what crosses the connection; a compressed stream would not be.
    disableCompression: true,
    maxLiteralSize: MAX_LITERAL,
    maxLineLength: MAX_LINE,
    maxResponseSize: MAX_LINE + MAX_LITERAL,
    maxResponseTokens: MAX_TOKENS,
  };
}
