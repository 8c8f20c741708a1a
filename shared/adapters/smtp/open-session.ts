import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { NodemailerError } from 'nodemailer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { defaultPorts, type TransportConfig } from '../../accounts/model.ts';
import { openSocket } from '../open-socket.ts';
import type { Opened } from '../session-pool.ts';
import { tlsOptions } from '../tls.ts';
import { cutTrouble, type Trouble } from '../trouble.ts';
import { credentialScrub, type Scrub } from './reply.ts';
import { SmtpSession } from './session.ts';
import { lossTrouble, setUpTrouble } from './set-up-error.ts';

export type SmtpConfig = Extract<TransportConfig, { protocol: 'smtp' | 'smtps' }>;

export interface SessionContext {
  /** Reads a Key Vault secret by name; throws when missing. */
  secret(name: string, signal: AbortSignal): Promise<string>;
  /** The name given with EHLO. Default: the socket's own address as a literal (RFC 5321 section 4.1.3). */
  readonly clientName?: string;
}

/** The longest timer there is, some 24 days: stands for "no limit of its own"; the caller's signal is the bound. */
const NO_LIMIT_MS = 2_147_483_647;
/** A server may take this long to greet (RFC 5321 section 4.5.3.2.1), where the account sets no limit between bytes. */
const GREETING_LIMIT_MS = 300_000;
/** One reply, EHLO's included, is some kilobytes at most; this stops a server that never ends one. */
const MAX_REPLY_BYTES = 65_536;

/** Thrown inside this module only, to leave the steps of opening with what stands in the way. */
class SetUpStop extends Error {
  readonly trouble: Trouble;
  constructor(trouble: Trouble) {
    super('set-up stopped');
    this.trouble = trouble;
  }
}

const accountTrouble = (code: string, hint: string): SetUpStop => new SetUpStop({ scope: 'account', code, hint });

/**
 * Connects, greets, secures and signs in as the account says. The secret is read anew for each connection, so that a
 * rotated one is used by the next. Never rejects. An abort of the signal cuts whatever is under way.
 */
export async function openSession(
  config: SmtpConfig,
  context: SessionContext,
  signal: AbortSignal,
): Promise<Opened<SmtpSession>> {
  try {
    const tls = checkedTls(config);
    const password = await readPassword(config, context, signal);
    const scrub =
      config.auth.type === 'password' && password !== undefined
        ? credentialScrub(config.auth.user, password)
        : (text: string) => text;
    const socket = await connectSocket(config, tls, signal);
    const connection = smtpConnection(config, context, tls, socket);
    const cut = () => connection.close();
    signal.addEventListener('abort', cut, { once: true });
    try {
      return { ok: true, session: await signedIn(connection, config, password, scrub) };
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', cut);
    }
  } catch (error) {
    if (signal.aborted) return { ok: false, trouble: cutTrouble(signal) };
    return { ok: false, trouble: error instanceof SetUpStop ? error.trouble : lossTrouble(error) };
  }
}

/** Undefined where the account never uses TLS. */
function checkedTls(config: SmtpConfig): ConnectionOptions | undefined {
  if (config.protocol === 'smtp' && config.tls.starttls === 'never') return undefined;
  const tls = tlsOptions(config.host, config.tls);
  if (!tls.ok) throw accountTrouble('TLS_REFUSED', tls.reason);
  return tls.options;
}

async function readPassword(
  config: SmtpConfig,
  context: SessionContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (config.auth.type !== 'password') return undefined;
  const { secret } = config.auth;
  try {
    return await context.secret(secret, signal);
  } catch {
    // The error's text is not passed on: who knows what it quotes.
    throw accountTrouble(
      'SECRET_UNREADABLE',
      `Key Vault gave no secret ${secret}. Write it, or check the app's access.`,
    );
  }
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

function smtpConnection(
  config: SmtpConfig,
  context: SessionContext,
  tls: ConnectionOptions | undefined,
  socket: Socket,
): SMTPConnection {
  const implicitTls = config.protocol === 'smtps';
  const silence = config.timeout > 0 ? config.timeout : undefined;
  const connection = new SMTPConnection({
    connection: socket,
    host: config.host,
    secure: implicitTls,
    secured: implicitTls,
    name: context.clientName ?? addressLiteral(socket),
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
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: NodemailerError | null) => {
      connection.off('error', settle).off('end', onEnd);
      if (error) reject(new SetUpStop(setUpTrouble(error, scrub)));
      else resolve();
    };
    const onEnd = () => settle(Object.assign(new Error('closed'), { code: 'ECONNECTION' }));
    connection.once('error', settle).once('end', onEnd);
    run(settle);
  });
}

async function signedIn(
  connection: SMTPConnection,
  config: SmtpConfig,
  password: string | undefined,
  scrub: Scrub,
): Promise<SmtpSession> {
  await step(connection, scrub, (done) => connection.connect(done));
  const capabilities = connection.lastServerResponse || '';
  if (config.auth.type === 'password') {
    if (!connection.secure && config.tls.starttls !== 'never') {
      const hint =
        'The server offers no STARTTLS, and a password does not cross an open connection. Use smtps, or set tls.starttls to never to allow it.';
      throw accountTrouble('UNENCRYPTED', hint);
    }
    if (!connection.allowsAuth) {
      const hint =
        'The server offers no sign-in on this connection. Set auth to none, or tls.starttls so that it is offered.';
      throw accountTrouble('NO_AUTH', hint);
    }
    const { user } = config.auth;
    await step(connection, scrub, (done) => connection.login({ user, pass: password }, done));
  }
  return new SmtpSession(connection, capabilities, scrub);
}
