import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { NodemailerError } from 'nodemailer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { defaultPorts, type TransportConfig } from '../../accounts/model.ts';
import { type Credentials, type CredentialsContext, CredentialsError, withCredentials } from '../credentials.ts';
import { openSocket } from '../open-socket.ts';
import { allowedMechanisms, credentialScrub, noMechanismHint, type Scrub } from '../sasl.ts';
import type { Opened } from '../session-pool.ts';
import { tlsOptions } from '../tls.ts';
import { cutTrouble, type Trouble } from '../trouble.ts';
import type { SignInAttempt } from './auth-hints.ts';
import { SmtpSession } from './session.ts';
import { credentialsTrouble, lossTrouble, setUpTrouble } from './set-up-error.ts';
import { chooseExchange, login, offeredMechanisms } from './sign-in.ts';

export type SmtpConfig = Extract<TransportConfig, { protocol: 'smtp' | 'smtps' }>;

/** The longest timer there is, some 24 days: stands for "no limit of its own"; the caller's signal is the bound. */
const NO_LIMIT_MS = 2_147_483_647;
/** A server may take this long to greet (RFC 5321 section 4.5.3.2.1), where the account sets no limit between bytes. */
const GREETING_LIMIT_MS = 300_000;
/** One reply, EHLO's included, is some kilobytes at most; this stops a server that never ends one. */
const MAX_REPLY_BYTES = 65_536;

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
 * Connects, greets, secures and signs in as the account says. The secret is read anew for each connection, so that a
 * rotated one is used by the next, and a kept token that is refused is renewed once, on a connection of its own. Never
 * rejects. An abort of the signal cuts whatever is under way.
 */
export async function openSession(
  config: SmtpConfig,
  context: CredentialsContext,
  signal: AbortSignal,
): Promise<Opened<SmtpSession>> {
  try {
    const tls = checkedTls(config);
    const attempt = (credentials: Credentials) => connect(config, tls, credentials, signal);
    const session = await withCredentials(config, context, signal, attempt, isRefusal);
    return { ok: true, session };
  } catch (error) {
    if (signal.aborted) return { ok: false, trouble: cutTrouble(signal) };
    if (error instanceof CredentialsError) return { ok: false, trouble: credentialsTrouble(error) };
    return { ok: false, trouble: error instanceof SetUpStop ? error.trouble : lossTrouble(error) };
  }
}

const isRefusal = (error: unknown): boolean => error instanceof SetUpStop && error.refusal;

async function connect(
  config: SmtpConfig,
  tls: ConnectionOptions | undefined,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<SmtpSession> {
  const socket = await connectSocket(config, tls, signal);
  const connection = smtpConnection(config, tls, socket);
  const cut = () => connection.close();
  signal.addEventListener('abort', cut, { once: true });
  try {
    return await signedIn(connection, config, credentials);
  } catch (error) {
    connection.close();
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

async function connectSocket(
  config: SmtpConfig,
  tls: ConnectionOptions | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const target = {
    host: config.host,
    port: config.port ?? defaultPorts[config.protocol],
    timeout: config.connectionTimeout,
  };
  try {
    return await openSocket(config.protocol === 'smtps' && tls ? { ...target, tls } : target, signal);
  } catch (error) {
    throw new SetUpStop(lossTrouble(error));
  }
}

function smtpConnection(config: SmtpConfig, tls: ConnectionOptions | undefined, socket: Socket): SMTPConnection {
  const implicitTls = config.protocol === 'smtps';
  const silence = config.timeout > 0 ? config.timeout : undefined;
  const connection = new SMTPConnection({
    connection: socket,
    host: config.host,
    secure: implicitTls,
    secured: implicitTls,
    name: config.heloName ?? addressLiteral(socket),
    ignoreTLS: config.tls.starttls === 'never',
    requireTLS: !implicitTls && config.tls.starttls === 'required',
    ...(tls ? { tls } : {}),
    connectionTimeout: NO_LIMIT_MS,
    greetingTimeout: silence ?? GREETING_LIMIT_MS,
    socketTimeout: silence ?? NO_LIMIT_MS,
    // Closing destroys the socket at once: a graceful end would let text on its way through.
    socketCloseTimeout: 0,
    maxResponseSize: MAX_REPLY_BYTES,
    logger: false,
  });
  // An error event nobody listens to would end the process; losses are learned of by 'end'.
  connection.on('error', () => {});
  return connection;
}

function addressLiteral(socket: Socket): string {
  const address = (socket.localAddress ?? '127.0.0.1').replace(/^::ffff:/, '').replace(/%.*$/, '');
  return address.includes(':') ? `[IPv6:${address}]` : `[${address}]`;
}

/** Runs a step of nodemailer's that answers by callback, by 'error' or by 'end'. */
function step(
  connection: SMTPConnection,
  scrub: Scrub,
  run: (done: (error?: NodemailerError | null) => void) => void,
  signIn?: SignInAttempt,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: NodemailerError | null) => {
      connection.off('error', settle).off('end', onEnd);
      if (!error) {
        resolve();
        return;
      }
      const trouble = setUpTrouble(error, scrub, signIn);
      reject(new SetUpStop(trouble, signIn !== undefined && trouble.scope === 'account'));
    };
    const onEnd = () => settle(Object.assign(new Error('closed'), { code: 'ECONNECTION' }));
    connection.once('error', settle).once('end', onEnd);
    run(settle);
  });
}

async function signedIn(
  connection: SMTPConnection,
  config: SmtpConfig,
  credentials: Credentials,
): Promise<SmtpSession> {
  const scrub = credentialScrub(credentials);
  await step(connection, scrub, (done) => connection.connect(done));
  const capabilities = connection.lastServerResponse || '';
  if (credentials.kind !== 'none') {
    if (!connection.secure && config.tls.starttls !== 'never') {
      const hint = `The server offers no STARTTLS, and ${credentials.kind === 'token' ? 'an access token' : 'a password'} does not cross an open connection. Use smtps, or set tls.starttls to never to allow it.`;
      throw accountTrouble('UNENCRYPTED', hint);
    }
    const offered = offeredMechanisms(capabilities);
    const exchange = chooseExchange(config.auth, credentials, offered);
    if (!exchange) throw accountTrouble('NO_AUTH', noMechanismHint(allowedMechanisms(config.auth), offered));
    await step(connection, scrub, (done) => login(connection, exchange, done), {
      host: config.host,
      by: credentials.kind,
    });
  }
  return new SmtpSession(connection, capabilities, scrub);
}
