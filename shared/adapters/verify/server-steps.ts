import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import tls from 'node:tls';
import {
  defaultPorts,
  type ServerAuth,
  type ServerConfig,
  type ServerStoreConfig,
  type ServerTransportConfig,
  type TlsConfig,
} from '../../accounts/model.ts';
import { untilAborted } from '../../platform/abort.ts';
import { AddressRefused } from '../../platform/network-policy.ts';
import { mailNetwork, type NetworkPolicy } from '../net/mail-network.ts';
import { explainNetError } from '../net/net-errors.ts';
import { openSocket } from '../net/open-socket.ts';
import { startTls } from '../net/start-tls.ts';
import { tlsOptions } from '../net/tls.ts';
import { openConnectionHint } from '../sign-in/open-connection.ts';
import { askForTls, type PlainProtocol, readGreeting } from './preface.ts';
import { type Finding, type PlannedStep, StepFailure } from './steps.ts';

/** Where a server is and how TLS is done with it. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** The dialogue before STARTTLS; absent: TLS from the start. */
  readonly plain?: PlainProtocol;
  /** What greets once TLS is there, where it is there from the start. */
  readonly greets?: PlainProtocol;
  /** What the protocol with TLS from the start is called, for hints. */
  readonly secureName: string;
  readonly tls: TlsConfig;
  /** What secret will cross the connection. */
  readonly secret: 'password' | 'token' | undefined;
  readonly connectionTimeout: number;
  readonly timeout: number;
  /** Which addresses may be connected to; absent: none of the machine's own networks. */
  readonly network?: NetworkPolicy | undefined;
}

/** A verification is waited for: it never gives a server longer than this to answer, in ms. */
const patienceMs = 20_000;

const plainProtocols: Readonly<Record<string, PlainProtocol>> = { smtp: 'smtp', imap: 'imap', pop3: 'pop3' };
const secureProtocols: Readonly<Record<string, PlainProtocol>> = { smtps: 'smtp', imaps: 'imap', pop3s: 'pop3' };

/** The endpoint of an account's server. */
export function endpointOf(
  server: ServerConfig & { readonly protocol: ServerStoreConfig['protocol'] | ServerTransportConfig['protocol'] },
  network?: NetworkPolicy,
): Endpoint {
  const { protocol, host, tls, connectionTimeout, timeout } = server;
  const plain = plainProtocols[protocol];
  const greets = secureProtocols[protocol];
  return {
    host,
    port: server.port ?? defaultPorts[protocol],
    ...(plain ? { plain } : {}),
    ...(greets ? { greets } : {}),
    secureName: plain ? `${plain}s` : protocol,
    tls,
    secret: secretOf(server.auth),
    connectionTimeout,
    timeout,
    network,
  };
}

/** An error of the network as a step shows it. */
export function networkFailure(error: unknown): StepFailure {
  if (error instanceof StepFailure) return error;
  const { code, hint } = explainNetError(error);
  return new StepFailure({ code, hint });
}

/** Resolve, connect and TLS of an account's server: over connections of their own, which are closed again. */
export function serverSteps(server: Endpoint, signal: AbortSignal): readonly PlannedStep[] {
  return [
    { step: 'resolve', run: () => resolve(server, signal) },
    { step: 'connect', run: () => connect(server, signal) },
    { step: 'tls', run: () => secure(server, signal) },
  ];
}

async function resolve({ host, network = mailNetwork() }: Endpoint, signal: AbortSignal): Promise<Finding> {
  network.checkHost(host);
  if (isIP(host) !== 0) return { detail: `${host} is an address` };
  const limited = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const addresses = await untilAborted(lookup(host, { all: true }), limited);
  const allowed = addresses.filter(({ address }) => network.allows(address));
  if (allowed.length === 0) throw new AddressRefused();
  return { detail: allowed.map(({ address }) => address).join(', ') };
}

const limitOf = (given: number) => Math.min(given || patienceMs, patienceMs);

/** TCP, and without TLS from the start also the greeting. */
async function connect(server: Endpoint, signal: AbortSignal): Promise<Finding> {
  const { host, port, plain, network } = server;
  const open = () => openSocket({ host, port, timeout: limitOf(server.connectionTimeout), network }, signal);
  const socket = await open();
  const detail = `${socket.remoteAddress}:${port}`;
  try {
    if (plain) await readGreeting(plain, socket, limitOf(server.timeout));
    return { detail };
  } catch (error) {
    throw error instanceof StepFailure && error.finding.code === 'GREETING_TIMEOUT' && (await speaksTls(server, signal))
      ? new StepFailure({
          code: 'TLS_FROM_START',
          hint: `The port speaks TLS from the start. Use ${server.secureName}.`,
        })
      : error;
  } finally {
    socket.destroy();
  }
}

/** Whether the silent port answers a TLS handshake. */
async function speaksTls(server: Endpoint, signal: AbortSignal): Promise<boolean> {
  const unchecked = { rejectUnauthorized: false, ...(isIP(server.host) === 0 ? { servername: server.host } : {}) };
  const { host, port, network } = server;
  const target = { host, port, network, timeout: limitOf(server.timeout), tls: unchecked };
  return await openSocket(target, signal).then(
    (socket) => {
      socket.destroy();
      return true;
    },
    () => false,
  );
}

async function secure(server: Endpoint, signal: AbortSignal): Promise<Finding> {
  const { starttls } = server.tls;
  if (server.plain && starttls === 'never') return { detail: 'not used: tls.starttls is never' };
  const allowed = tlsOptions(server.host, server.tls);
  if (!allowed.ok) throw new StepFailure({ code: 'TLS_NOT_ALLOWED', hint: allowed.reason });
  try {
    const secured = await handshake(server, allowed.options, signal);
    return secured ? { detail: described(secured) } : notOffered(server);
  } catch (error) {
    throw await certificateFailure(server, allowed.options, error, signal);
  }
}

function secretOf({ type }: ServerAuth): Endpoint['secret'] {
  return type === 'none' ? undefined : type === 'oauth2' ? 'token' : 'password';
}

function notOffered({ tls: { starttls }, secret, secureName }: Endpoint): Finding {
  if (starttls === 'preferred' && !secret) return { detail: 'not offered: goes on unencrypted' };
  const advice = secret
    ? openConnectionHint(secret, secureName)
    : `tls.starttls requires it. Use ${secureName}, or set tls.starttls to never to allow it.`;
  throw new StepFailure({ code: 'STARTTLS_UNAVAILABLE', hint: `The server offers no STARTTLS. ${advice}` });
}

interface Secured {
  readonly version: string | null;
  readonly certificate: tls.PeerCertificate;
}

/** Undefined: STARTTLS is not offered. */
async function handshake(
  server: Endpoint,
  options: tls.ConnectionOptions,
  signal: AbortSignal,
): Promise<Secured | undefined> {
  const { host, port, plain, network } = server;
  const target = { host, port, network, timeout: limitOf(server.connectionTimeout) };
  if (!plain) return await aboutGreeting(await openSocket({ ...target, tls: options }, signal), server);
  const socket = await openSocket(target, signal);
  try {
    const silence = limitOf(server.timeout);
    await readGreeting(plain, socket, silence);
    if (!(await askForTls(plain, socket, silence))) return undefined;
    return about(await startTls(socket, options, { host, timeout: silence }, signal));
  } finally {
    socket.destroy();
  }
}

/** Over TLS from the start the greeting comes behind the handshake; only then does it show what speaks there. */
async function aboutGreeting(socket: Socket, { greets, timeout }: Endpoint): Promise<Secured> {
  try {
    if (greets) await readGreeting(greets, socket, limitOf(timeout));
    return about(socket);
  } finally {
    socket.destroy();
  }
}

function about(socket: Socket): Secured {
  if (!(socket instanceof tls.TLSSocket)) throw new Error('the socket has no TLS');
  const secured = { version: socket.getProtocol(), certificate: socket.getPeerCertificate() };
  socket.destroy();
  return secured;
}

/** Longest name list of a certificate that is shown. */
const maxNames = 200;

function described({ version, certificate }: Secured): string {
  return `${version ?? 'TLS'}, ${certificateText(certificate)}`;
}

function certificateText({ subject, subjectaltname, issuer, valid_to }: Partial<tls.PeerCertificate>): string {
  const names = (subjectaltname ?? text(subject?.CN)).replace(/DNS:/g, '').slice(0, maxNames);
  return `certificate for ${names || 'no name'}, issued by ${text(issuer?.CN) || text(issuer?.O) || 'nobody'}, valid until ${valid_to ?? 'never'}`;
}

function text(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.join(', ') ?? '')).slice(0, maxNames);
}

/** Says what the certificate is that was not accepted: the handshake is done once more, unchecked, to look at it. */
async function certificateFailure(
  server: Endpoint,
  options: tls.ConnectionOptions,
  error: unknown,
  signal: AbortSignal,
): Promise<StepFailure> {
  const failure = networkFailure(error);
  if (error instanceof StepFailure || !explainNetError(error).certificate) return failure;
  const seen = await handshake(server, { ...options, rejectUnauthorized: false }, signal).catch(() => undefined);
  return seen ? new StepFailure({ ...failure.finding, detail: described(seen) }) : failure;
}
