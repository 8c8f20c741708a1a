import type { ImapFlowOptions } from 'imapflow';
import { defaultPorts, type StoreConfig } from '../../accounts/model.ts';
import type { Credentials } from '../credentials.ts';
import { StoreError } from '../store.ts';
import { tlsOptions } from '../tls.ts';

/** What a connection needs of a store or a transport. */
export type ImapConnectionConfig = Omit<Extract<StoreConfig, { protocol: 'imap' | 'imaps' }>, 'folders'>;

/** The longest a timer can be set to. Stands for "no limit of its own": the caller's signal then bounds everything. */
const NO_LIMIT = 2 ** 31 - 1;
/**
 * Largest single literal. The session asks for at most 1 MiB at a time and takes whole mails only where the server says
 * they are small; the rest is room for a server that counts wrongly. Beyond it the connection is given up.
 */
const MAX_LITERAL = 16 * 1024 * 1024;
/** A SEARCH answer is one line, 11 octets a mail: some five million mails. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * Options of the library for one account, but for the sign-in. Throws StoreError where the account forbids TLS to this
 * host. Credentials are never sent unencrypted unless `starttls` is `never`: with them, STARTTLS `preferred` is as good
 * as `required`.
 */
export function libraryOptions(config: ImapConnectionConfig, credentials: Credentials): ImapFlowOptions {
  const { host, tls } = config;
  const secure = config.protocol === 'imaps';
  const plain = !secure && tls.starttls === 'never';
  const allowed = plain ? undefined : tlsOptions(host, tls);
  if (allowed?.ok === false) {
    throw new StoreError('connection', allowed.reason, { code: 'TLS_NOT_ALLOWED', hint: allowed.reason });
  }
  const mustUpgrade = tls.starttls === 'required' || credentials.kind !== 'none';
  return {
    host,
    port: config.port ?? defaultPorts[config.protocol],
    secure,
    ...(secure ? {} : plain ? { doSTARTTLS: false } : mustUpgrade ? { doSTARTTLS: true } : {}),
    ...(allowed ? { tls: allowed.options } : {}),
    clientInfo: { name: 'Mailroom', vendor: 'Mailroom', version: '', 'support-url': '' },
    connectionTimeout: config.connectionTimeout || NO_LIMIT,
    greetingTimeout: config.timeout || NO_LIMIT,
    // The connection watches for silence itself: the library's watch would also cut a session that merely has nothing
    // to ask for a while, as when a large mail goes to storage.
    socketTimeout: NO_LIMIT,
    logger: false,
    disableAutoIdle: true,
    // Extensions are not switched on: CONDSTORE and IMAP4rev2 change what answers look like, UTF8 what names look like.
    disableAutoEnable: true,
    disableIMAP4rev2: true,
    // Bytes of a mail are bounded by what crosses the wire; a compressed stream would not be.
    disableCompression: true,
    maxLiteralSize: MAX_LITERAL,
    maxLineLength: MAX_LINE,
    maxResponseSize: MAX_LINE + MAX_LITERAL,
  };
}
