import type { ConnectionOptions } from 'node:tls';
import { defaultPorts, type StoreConfig } from '../../accounts/model.ts';
import type { ServerContext } from '../connections/server-context.ts';
import type { DialogueLog } from '../dialogue.ts';
import type { NetworkPolicy } from '../net/mail-network.ts';
import { openSocket } from '../net/open-socket.ts';
import { startTls } from '../net/start-tls.ts';
import { tlsOptions } from '../net/tls.ts';
import { credentialScrub } from '../redaction.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { withStoreCredentials } from '../sign-in/credentials-store-error.ts';
import { openConnectionHint } from '../sign-in/open-connection.ts';
import { StoreError } from '../store.ts';
import { abortedError } from '../store-troubles.ts';
import { Pop3Connection } from './connection.ts';
import { LineSocket } from './line-socket.ts';
import { connectionLost, greeting, greetingError } from './pop3-errors.ts';
import { type Capabilities, parseCapabilities } from './replies.ts';
import { signIn } from './sign-in.ts';

/** What a connection needs of a store. */
export type Pop3Config = Extract<StoreConfig, { protocol: 'pop3' | 'pop3s' }>;

/**
 * Connects, does TLS as the account says, signs in. The credentials are read again for each connection, so that a
 * rotated secret is used by the next. They are never sent unencrypted unless `starttls` is `never`: since POP3 always
 * signs in, STLS `preferred` is as good as `required`. Throws StoreError.
 */
export async function openConnection(
  config: Pop3Config,
  context: ServerContext,
  signal: AbortSignal,
): Promise<Pop3Connection> {
  const options = checkedTls(config);
  return withStoreCredentials(config, context, signal, (credentials) =>
    open(config, options, credentials, {
      signal,
      dialogue: context.dialogue?.(credentialScrub(credentials)),
      network: context.network,
    }),
  );
}

/** Octets of an answer to CAPA at most. */
const MAX_CAPABILITIES = 64 * 1024;

/** What one attempt to open a connection goes by. */
interface AttemptOptions {
  readonly signal: AbortSignal;
  readonly dialogue: DialogueLog | undefined;
  readonly network: NetworkPolicy | undefined;
}

async function open(
  config: Pop3Config,
  options: ConnectionOptions | undefined,
  credentials: Credentials,
  attempt: AttemptOptions,
): Promise<Pop3Connection> {
  const { signal } = attempt;
  let connection = await connect(config, config.protocol === 'pop3s' ? options : undefined, attempt);
  try {
    connection = await withCapabilities(await greeted(connection, signal), signal);
    if (config.protocol === 'pop3' && options) connection = await encrypted(connection, config, options, attempt);
    await signIn(connection, config.auth, credentials, signal);
    return connection;
  } catch (error) {
    throw connection.fail(error instanceof StoreError ? error : connectionLost(error, 'to open the session'));
  }
}

/** Undefined where the account never uses TLS. */
function checkedTls({ protocol, host, tls }: Pop3Config): ConnectionOptions | undefined {
  if (protocol === 'pop3' && tls.starttls === 'never') return undefined;
  const allowed = tlsOptions(host, tls);
  if (allowed.ok) return allowed.options;
  throw new StoreError('connection', allowed.reason, { code: 'TLS_NOT_ALLOWED', hint: allowed.reason });
}

async function connect(
  config: Pop3Config,
  tls: ConnectionOptions | undefined,
  { signal, dialogue, network }: AttemptOptions,
): Promise<Pop3Connection> {
  const { host, protocol, connectionTimeout } = config;
  const port = config.port ?? defaultPorts[protocol];
  try {
    const target = { host, port, timeout: connectionTimeout, network, ...(tls ? { tls } : {}) };
    return new Pop3Connection(new LineSocket(await openSocket(target, signal), config.timeout, dialogue));
  } catch (error) {
    throw signal.aborted ? abortedError(signal) : connectionLost(error, `to connect to ${host}:${port}`);
  }
}

async function greeted({ socket }: Pop3Connection, signal: AbortSignal): Promise<Pop3Connection> {
  const reply = await new Pop3Connection(socket).reply(greeting, signal);
  if (reply.status !== 'ok') throw greetingError(reply);
  return new Pop3Connection(socket, undefined, reply.text);
}

async function withCapabilities(connection: Pop3Connection, signal: AbortSignal): Promise<Pop3Connection> {
  const reply = await connection.command('CAPA', signal);
  // A server may know no CAPA (RFC 2449 section 5): then nothing is known of it.
  const capabilities: Capabilities | undefined =
    reply.status === 'ok' ? parseCapabilities(await connection.lines('CAPA', signal, MAX_CAPABILITIES)) : undefined;
  return new Pop3Connection(connection.socket, capabilities, connection.serverName);
}

/** STLS (RFC 2595). What was learned before it is forgotten: anybody may have said it. */
async function encrypted(
  connection: Pop3Connection,
  config: Pop3Config,
  options: ConnectionOptions,
  { signal, dialogue }: AttemptOptions,
): Promise<Pop3Connection> {
  const { host, connectionTimeout } = config;
  const offered = connection.capabilities === undefined || connection.has('STLS');
  if (!offered || (await connection.command('STLS', signal)).status !== 'ok') {
    throw new StoreError('connection', `${host} offers no STLS, which this account needs`, {
      code: 'STARTTLS_UNAVAILABLE',
      hint: openConnectionHint(config.auth.type === 'oauth2' ? 'token' : 'password', 'pop3s'),
    });
  }
  const plain = connection.socket.release();
  try {
    const secured = await startTls(plain, options, { host, timeout: connectionTimeout }, signal);
    return await withCapabilities(
      new Pop3Connection(new LineSocket(secured, config.timeout, dialogue), undefined, connection.serverName),
      signal,
    );
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw signal.aborted ? abortedError(signal) : connectionLost(error, 'to start TLS');
  }
}
