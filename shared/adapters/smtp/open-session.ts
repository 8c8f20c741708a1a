import { isIPv6, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { defaultPorts, type TransportConfig } from '../../accounts/model.ts';
import type { ServerContext } from '../connections/server-context.ts';
import type { Opened } from '../connections/session-pool.ts';
import type { DialogueLog } from '../dialogue.ts';
import type { NetworkPolicy } from '../net/mail-network.ts';
import { openSocket } from '../net/open-socket.ts';
import { tlsOptions } from '../net/tls.ts';
import { credentialScrub } from '../redaction.ts';
import { type Credentials, CredentialsError, withCredentials } from '../sign-in/credentials.ts';
import { openConnectionHint } from '../sign-in/open-connection.ts';
import { allowedMechanisms, noMechanismHint } from '../sign-in/sasl.ts';
import type { Trouble } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';
import { type Capabilities, noCapabilities, readCapabilities } from './capabilities.ts';
import { ConnectionLost, SmtpConnection } from './connection.ts';
import { credentialsTrouble, lossTrouble } from './connection-trouble.ts';
import { isNegative, isPositive, keptReply } from './reply.ts';
import type { RawReply } from './reply-reader.ts';
import { replyTrouble, type Step } from './reply-trouble.ts';
import { SmtpSession } from './session.ts';
import { chooseExchange, signIn } from './sign-in.ts';

export type SmtpConfig = Extract<TransportConfig, { protocol: 'smtp' | 'smtps' }>;

/** A server may take this long to greet (RFC 5321 section 4.5.3.2.1), where the account sets no limit between bytes. */
const GREETING_LIMIT_MS = 300_000;

/** Thrown inside this module only, to leave the steps of opening with what stands in the way. */
class SetUpStop extends Error {
  readonly trouble: Trouble;
  /** The server refused the credentials, for good. */
  readonly refusal: boolean;
  constructor(trouble: Trouble, refusal = false) {
    super('set-up stopped');
    this.trouble = trouble;
    this.refusal = refusal;
  }
}

const accountTrouble = (code: string, hint: string): SetUpStop => new SetUpStop({ scope: 'account', code, hint });

/**
 * Connects, greets, secures and signs in as the account says. The secret is read again for each connection, so that a
 * rotated one is used by the next, and a kept token that is refused is renewed once, on a connection of its own. Never
 * rejects. An abort of the signal cuts whatever is under way.
 */
export async function openSession(
  config: SmtpConfig,
  context: ServerContext,
  signal: AbortSignal,
): Promise<Opened<SmtpSession>> {
  try {
    const tls = checkedTls(config);
    const attempt = (credentials: Credentials) => {
      const dialogue = context.dialogue?.(credentialScrub(credentials));
      return connect(config, { tls, dialogue, credentials, network: context.network }, signal);
    };
    const session = await withCredentials(config, context, signal, { attempt, isRefusal });
    return { ok: true, session };
  } catch (error) {
    if (signal.aborted) return { ok: false, trouble: cutTrouble(signal) };
    if (error instanceof CredentialsError) return { ok: false, trouble: credentialsTrouble(error) };
    if (error instanceof SetUpStop || error instanceof ConnectionLost) return { ok: false, trouble: error.trouble };
    return { ok: false, trouble: lossTrouble(error) };
  }
}

const isRefusal = (error: unknown): boolean => error instanceof SetUpStop && error.refusal;

/** How a connection is made, beside what the account says. */
interface Opening {
  /** Undefined where the account never uses TLS. */
  readonly tls: ConnectionOptions | undefined;
  readonly dialogue: DialogueLog | undefined;
  readonly credentials: Credentials;
  readonly network: NetworkPolicy | undefined;
}

async function connect(config: SmtpConfig, opening: Opening, signal: AbortSignal): Promise<SmtpSession> {
  const socket = await connectSocket(config, opening, signal);
  const silence = Math.max(0, config.timeout);
  const limits = { silence, greeting: silence > 0 ? silence : GREETING_LIMIT_MS };
  const connection = new SmtpConnection(socket, limits, opening.dialogue);
  const cut = () => connection.fail(cutTrouble(signal));
  signal.addEventListener('abort', cut, { once: true });
  try {
    if (signal.aborted) cut();
    return await openedSession(connection, config, opening, signal);
  } catch (error) {
    connection.fail({ scope: 'connection', code: 'CLOSED' });
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

/** Undefined where the account never uses TLS. */
function checkedTls(config: SmtpConfig): ConnectionOptions | undefined {
  if (config.protocol === 'smtp' && config.tls.starttls === 'never') return undefined;
  const tls = tlsOptions(config.host, config.tls);
  if (!tls.ok) throw accountTrouble('TLS_NOT_ALLOWED', tls.reason);
  return tls.options;
}

async function connectSocket(config: SmtpConfig, { tls, network }: Opening, signal: AbortSignal): Promise<Socket> {
  const target = {
    host: config.host,
    port: config.port ?? defaultPorts[config.protocol],
    timeout: config.connectionTimeout,
    network,
  };
  return await openSocket(config.protocol === 'smtps' && tls ? { ...target, tls } : target, signal);
}

async function openedSession(
  connection: SmtpConnection,
  config: SmtpConfig,
  { tls, dialogue, credentials }: Opening,
  signal: AbortSignal,
): Promise<SmtpSession> {
  const greeting = await connection.greeting();
  if (greeting.code !== 220) throw refusedAt('greeting', greeting);
  const name = config.heloName ?? addressLiteral(connection.localAddress);
  const required = config.protocol === 'smtp' && config.tls.starttls === 'required';
  let capabilities = await hello(connection, name, required);
  let secure = config.protocol === 'smtps';
  if (!secure && tls && capabilities.startTls) {
    const refusal = await connection.startTls(tls, config.host, signal);
    if (refusal) throw refusedAt('starttls', refusal);
    secure = true;
    // What was said before counts no more (RFC 3207 section 4.2).
    capabilities = await hello(connection, name, true);
  }
  if (required && !secure) {
    const hint =
      'The server offers no STARTTLS, and the account asks for it (tls.starttls: required). Use smtps, or another port.';
    throw accountTrouble('STARTTLS_UNAVAILABLE', hint);
  }
  if (credentials.kind !== 'none') {
    if (!secure && config.tls.starttls !== 'never') {
      const hint = `The server offers no STARTTLS. ${openConnectionHint(credentials.kind, 'smtps')}`;
      throw accountTrouble('UNENCRYPTED', hint);
    }
    await signedIn(connection, config, credentials, capabilities.mechanisms);
  }
  return new SmtpSession(connection, capabilities, credentialScrub(credentials), dialogue);
}

/** EHLO, or HELO where the server refuses that for good and nothing is needed that only EHLO offers. */
async function hello(connection: SmtpConnection, name: string, ehloOnly: boolean): Promise<Capabilities> {
  const reply = await connection.command(`EHLO ${name}`);
  if (isPositive(reply)) return readCapabilities(reply);
  if (ehloOnly || reply.code < 500) throw refusedAt('ehlo', reply);
  const plain = await connection.command(`HELO ${name}`);
  if (!isPositive(plain)) throw refusedAt('ehlo', plain);
  return noCapabilities;
}

async function signedIn(
  connection: SmtpConnection,
  { auth, host }: SmtpConfig,
  credentials: Exclude<Credentials, { kind: 'none' }>,
  offered: readonly string[],
): Promise<void> {
  const exchange = chooseExchange(auth, credentials, offered);
  if (!exchange) throw accountTrouble('NO_AUTH', noMechanismHint(allowedMechanisms(auth), offered));
  const reply = await signIn(connection, exchange);
  // 235 alone lets in (RFC 4954 section 6); a server that says another yes has not understood.
  if (reply.code === 235) return;
  if (!isNegative(reply)) throw refusedAt('auth', reply);
  const trouble = replyTrouble('auth', keptReply(reply, credentialScrub(credentials)), { host, by: credentials.kind });
  throw new SetUpStop(trouble, trouble.scope === 'account');
}

/** What a reply means that is not the one which goes on. */
function refusedAt(step: Step, reply: RawReply): SetUpStop {
  if (isNegative(reply)) return new SetUpStop(replyTrouble(step, keptReply(reply)));
  const hint = 'The server answered what no SMTP client can follow. Check host and port, and look at the server’s log.';
  return new SetUpStop({ scope: 'connection', code: 'EPROTOCOL', hint });
}

function addressLiteral(local: string): string {
  const address = local.replace(/^::ffff:/, '').replace(/%[\s\S]*/, '');
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
}
