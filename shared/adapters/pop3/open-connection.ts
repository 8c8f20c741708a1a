import type { ConnectionOptions } from 'node:tls';
import { defaultPorts, type StoreConfig } from '../../accounts/model.ts';
import { type Credentials, withCredentials } from '../credentials.ts';
import { credentialsStoreError } from '../credentials-store-error.ts';
import type { DialogueLog } from '../dialogue.ts';
import { openSocket } from '../open-socket.ts';
import { credentialScrub } from '../sasl.ts';
import type { ServerContext } from '../server-context.ts';
import { startTls } from '../start-tls.ts';
import { StoreError } from '../store.ts';
import { tlsOptions } from '../tls.ts';
import { Pop3Connection } from './connection.ts';
import { abortedError, connectionLost, greeting, greetingError } from './pop3-errors.ts';
import { type Capabilities, parseCapabilities } from './replies.ts';
import { signIn } from './sign-in.ts';
import { Wire } from './wire.ts';

export type Pop3Config = Extract<StoreConfig, { protocol: 'pop3' | 'pop3s' }>;

/**
 * Connects, does TLS as the account says, signs in. The credentials are read anew for each connection, so that a rotated
 * secret is used by the next. They are never sent unencrypted unless `starttls` is `never`: since POP3 always signs in,
 * STLS `preferred` is as good as `required`. Throws StoreError.
 */
export async function openConnection(
  config: Pop3Config,
  context: ServerContext,
  signal: AbortSignal,
): Promise<Pop3Connection> {
  const options = checkedTls(config);
  try {
    return await withCredentials(
      config,
      context,
      signal,
      (credentials) =>
        open(config, options, credentials, { signal, dialogue: context.dialogue?.(credentialScrub(credentials)) }),
      (error) => error instanceof StoreError && error.kind === 'signIn',
    );
  } catch (error) {
    throw credentialsStoreError(error, signal);
  }
}

/** What one attempt to open a connection goes by. */
interface Run {
  readonly signal: AbortSignal;
  readonly dialogue: DialogueLog | undefined;
}

async function open(
  config: Pop3Config,
  options: ConnectionOptions | undefined,
  credentials: Credentials,
  run: Run,
): Promise<Pop3Connection> {
  const { signal } = run;
  let connection = await connect(config, config.protocol === 'pop3s' ? options : undefined, run);
  try {
    await greeted(connection, signal);
    connection = await withCapabilities(connection, signal);
    if (config.protocol === 'pop3' && options) connection = await encrypted(connection, config, options, run);
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
  { signal, dialogue }: Run,
): Promise<Pop3Connection> {
  const { host, protocol, connectionTimeout } = config;
  const port = config.port ?? defaultPorts[protocol];
  try {
    const target = { host, port, timeout: connectionTimeout, ...(tls ? { tls } : {}) };
    return new Pop3Connection(new Wire(await openSocket(target, signal), config.timeout, dialogue));
  } catch (error) {
    throw signal.aborted ? abortedError(signal) : connectionLost(error, `to connect to ${host}:${port}`);
  }
}

async function greeted(connection: Pop3Connection, signal: AbortSignal): Promise<void> {
  const reply = await connection.reply(greeting, signal);
  if (reply.status !== 'ok') throw greetingError(reply);
}

async function withCapabilities(connection: Pop3Connection, signal: AbortSignal): Promise<Pop3Connection> {
  const reply = await connection.command('CAPA', signal);
  // A server may know no CAPA (RFC 2449 section 5): then nothing is known of it.
  const capabilities: Capabilities | undefined =
    reply.status === 'ok' ? parseCapabilities(await connection.lines('CAPA', signal)) : undefined;
  return new Pop3Connection(connection.wire, capabilities);
}

/** STLS (RFC 2595). What was learned before it is forgotten: anybody may have said it. */
async function encrypted(
  connection: Pop3Connection,
  config: Pop3Config,
  options: ConnectionOptions,
  { signal, dialogue }: Run,
): Promise<Pop3Connection> {
  const { host, connectionTimeout } = config;
  const offered = connection.capabilities === undefined || connection.has('STLS');
  if (!offered || (await connection.command('STLS', signal)).status !== 'ok') {
    throw new StoreError('connection', `${host} offers no STLS, which this account needs`, {
      code: 'STARTTLS_UNAVAILABLE',
      hint: 'A password is not sent unencrypted. Use pop3s, or set tls.starttls to never to send it all the same.',
    });
  }
  const plain = connection.wire.release();
  try {
    const secured = await startTls(plain, options, { host, timeout: connectionTimeout }, signal);
    return await withCapabilities(new Pop3Connection(new Wire(secured, config.timeout, dialogue)), signal);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw signal.aborted ? abortedError(signal) : connectionLost(error, 'to start TLS');
  }
}
