import type { Mistake } from '../../platform/refusal.ts';
import { protocolPairs, type ServerProtocol } from './known-properties.ts';
import type { PropertyReader } from './property-reader.ts';

/** One of the two endpoints of an account that is a server, as the properties describe it. */
export interface ServerEndpoint {
  readonly side: 'transport' | 'store';
  /** What `mail.transport.protocol` or `mail.store.protocol` says: the prefix of its properties. */
  readonly prefix: ServerProtocol;
  /** The account's protocol: the prefix, or with `ssl.enable` its sibling. */
  readonly protocol: ServerProtocol;
}

/** Full name of a property of this endpoint. */
export function nameOf({ prefix }: ServerEndpoint, suffix: string): string {
  return `mail.${prefix}.${suffix}`;
}

/** Whether the endpoint sends by SMTP. */
export const isSmtp = ({ prefix }: Pick<ServerEndpoint, 'prefix'>): boolean => prefix === 'smtp' || prefix === 'smtps';

const withTls = {
  smtp: 'smtps',
  imap: 'imaps',
  pop3: 'pop3s',
  smtps: 'smtps',
  imaps: 'imaps',
  pop3s: 'pop3s',
} as const;

/** Ports on which servers of the protocol wait for TLS at once. */
const tlsPorts: Readonly<Record<string, number>> = { smtp: 465, imap: 993, pop3: 995 };

/** A day: the longest limit an account may set, in ms. */
const longest = 86_400_000;

/** What is taken for granted where a limit is absent; the account model's own defaults. */
const defaultLimits = { connectionTimeout: 30_000, timeout: 60_000 };

/** The endpoint with its protocol: `ssl.enable` makes smtp what smtps is (SMTPTransport, IMAPStore, POP3Store). */
export function serverEndpoint(
  reader: PropertyReader,
  side: ServerEndpoint['side'],
  prefix: ServerProtocol,
): ServerEndpoint {
  const name = `mail.${prefix}.ssl.enable`;
  const enable = reader.boolean(name);
  const secure = withTls[prefix];
  if (enable === true && prefix !== secure) {
    reader.used(name, `TLS from the start: the protocol is ${secure}, with its default port`);
    return { side, prefix, protocol: secure };
  }
  if (enable === true) reader.used(name, `${prefix} always begins with TLS`);
  else if (prefix === secure) reader.ignored(name, `${prefix} always begins with TLS, in Jakarta Mail too`);
  else reader.used(name, 'no TLS from the start; STARTTLS is decided by starttls.enable');
  return { side, prefix, protocol: prefix };
}

/** Host, port, TLS and limits of a server, as fields of the account; `notes` are for the account's warnings. */
export function mapServer(reader: PropertyReader, endpoint: ServerEndpoint, notes: Mistake[]): Record<string, unknown> {
  const own = nameOf(endpoint, 'host');
  const hostName = reader.has(own) ? own : 'mail.host';
  const host = reader.text(hostName);
  if (host === undefined) reader.wrong(own, missingHost(reader, endpoint), `/${endpoint.side}/host`);
  else reader.used(hostName, `host of the ${endpoint.side}`);
  reader.origin(`/${endpoint.side}/host`, hostName);

  const portName = nameOf(endpoint, 'port');
  const port = reader.integer(portName, { from: 1, to: 65_535 });
  reader.used(portName, `port of the ${endpoint.side}`);
  if (port !== undefined && port === tlsPorts[endpoint.protocol])
    notes.push({
      pointer: `/${endpoint.side}/port`,
      detail: `servers expect TLS from the start on ${port}: is ${nameOf(endpoint, 'ssl.enable')}=true missing?`,
    });

  return {
    protocol: endpoint.protocol,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    tls: mapTls(reader, endpoint, host, notes),
    ...mapLimits(reader, endpoint, notes),
  };
}

function missingHost(reader: PropertyReader, { prefix }: ServerEndpoint): string {
  const pair = protocolPairs.find((each) => each.some((one) => one === prefix)) ?? [];
  const other = pair.find((one) => one !== prefix && reader.has(`mail.${one}.host`));
  return other === undefined
    ? `is required: ${prefix} has no host`
    : `is required: ${prefix} reads only mail.${prefix}.*, and mail.${other}.host is given`;
}

function mapTls(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  host: string | undefined,
  notes: Mistake[],
): Record<string, unknown> {
  const starttls = mapStarttls(reader, endpoint, notes);
  const names = ['ssl.trust', 'ssl.checkserveridentity', 'ssl.protocols'].map((suffix) => nameOf(endpoint, suffix));
  if (starttls === 'never') {
    for (const name of names) reader.ignored(name, 'nothing is encrypted');
    return { starttls };
  }
  const trust = mapTrust(reader, endpoint, host);
  checkIdentity(reader, endpoint, trust !== undefined);
  const minVersion = mapVersions(reader, endpoint);
  return {
    ...(starttls ? { starttls } : {}),
    ...(trust === undefined ? {} : { trust }),
    ...(minVersion === undefined ? {} : { minVersion }),
  };
}

/** Undefined where TLS is there from the start. */
function mapStarttls(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  notes: Mistake[],
): 'required' | 'preferred' | 'never' | undefined {
  const [enableName, requiredName] = [nameOf(endpoint, 'starttls.enable'), nameOf(endpoint, 'starttls.required')];
  const [enable, required] = [reader.boolean(enableName), reader.boolean(requiredName)];
  if (endpoint.protocol.endsWith('s')) {
    for (const name of [enableName, requiredName]) reader.ignored(name, 'TLS is there from the start');
    return undefined;
  }
  if (required === true) {
    reader.used(requiredName, 'tls.starttls is required: without STARTTLS there is no connection');
    if (enable === false) reader.ignored(enableName, 'starttls.required decides, in Jakarta Mail too');
    else reader.used(enableName, 'tls.starttls; starttls.required makes it required');
    return 'required';
  }
  reader.used(requiredName, 'STARTTLS is not required');
  if (enable === false) {
    reader.insecure(enableName, 'tls.starttls is never: nothing is encrypted, a password neither');
    return 'never';
  }
  reader.used(
    enableName,
    'tls.starttls is preferred: taken where the server offers it; where it does not, no password is sent (Jakarta Mail sends it)',
  );
  if (enable === undefined)
    notes.push({
      pointer: `/${endpoint.side}/tls/starttls`,
      detail: `${enableName} is not given: STARTTLS is taken where the server offers it, where Jakarta Mail would not encrypt`,
    });
  return 'preferred';
}

function mapTrust(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  host: string | undefined,
): '*' | readonly string[] | undefined {
  const name = nameOf(endpoint, 'ssl.trust');
  const text = reader.text(name);
  reader.origin(`/${endpoint.side}/tls/trust`, name);
  if (text === undefined) return undefined;
  if (text === '*') {
    reader.insecure(name, 'tls.trust is *: neither the chain nor the name of the certificate is checked');
    return '*';
  }
  if (/[,;]/.test(text)) {
    reader.wrong(name, 'hosts are separated by white space: Jakarta Mail would take this for one name');
    return undefined;
  }
  const hosts = text.split(/\s+/);
  const named = host !== undefined && hosts.some((each) => each.toLowerCase() === host.toLowerCase());
  reader.used(
    name,
    named
      ? 'tls.trust: the certificate of these hosts is taken as it is, chain and name unchecked'
      : `tls.trust does not name the host of the ${endpoint.side}: every connection is refused, as in Jakarta Mail`,
  );
  return hosts;
}

function checkIdentity(reader: PropertyReader, endpoint: ServerEndpoint, trusted: boolean): void {
  const name = nameOf(endpoint, 'ssl.checkserveridentity');
  const check = reader.boolean(name);
  if (trusted)
    reader.insecure(name, 'with ssl.trust neither the chain nor the name is checked here, whatever this says');
  else if (check === false)
    reader.ignored(
      name,
      'chain and name of the certificate are always checked; for a server whose certificate has another name, use ssl.trust',
    );
  else reader.used(name, 'the name of the certificate is always checked');
}

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

function mapVersions(reader: PropertyReader, endpoint: ServerEndpoint): (typeof versions)[number] | undefined {
  const name = nameOf(endpoint, 'ssl.protocols');
  const tokens = reader.text(name)?.split(/[\s,]+/);
  if (tokens === undefined) return undefined;
  const lowest = versions.find((version) => tokens.includes(version));
  if (lowest === undefined) {
    reader.wrong(name, `names none of ${versions.join(', ')}`);
    return undefined;
  }
  if (lowest === 'TLSv1' || lowest === 'TLSv1.1')
    reader.insecure(name, `tls.minVersion is ${lowest}, which is no longer safe (RFC 8996)`);
  else reader.used(name, `tls.minVersion is ${lowest}; later versions are taken too`);
  return lowest;
}

function mapLimits(reader: PropertyReader, endpoint: ServerEndpoint, notes: Mistake[]): Record<string, number> {
  const name = (suffix: string) => nameOf(endpoint, suffix);
  /** 0 and less have no limit in Jakarta Mail. */
  const read = (suffix: string): number | undefined => {
    const limit = reader.integer(name(suffix));
    return limit === undefined ? undefined : Math.min(Math.max(limit, 0), longest);
  };
  const described = (limit: number) =>
    limit === 0 ? '0: no limit of its own' : `${limit} ms${limit === longest ? ', the longest there is' : ''}`;
  const note = (field: string, suffix: string, limit: number) =>
    notes.push({
      pointer: `/${endpoint.side}/${field}`,
      detail: `${name(suffix)} is not given: ${described(limit)}, where Jakarta Mail would wait for ever`,
    });

  const connection = read('connectiontimeout');
  const connectionTimeout = connection ?? defaultLimits.connectionTimeout;
  if (connection === undefined) note('connectionTimeout', 'connectiontimeout', connectionTimeout);
  reader.used(name('connectiontimeout'), `connectionTimeout is ${described(connectionTimeout)}`);

  const [reading, writing] = [read('timeout'), read('writetimeout')];
  const both = [reading ?? defaultLimits.timeout, writing ?? reading ?? defaultLimits.timeout];
  const timeout = both.includes(0) ? 0 : Math.max(...both);
  if (reading === undefined) note('timeout', 'timeout', timeout);
  const stretched = reading !== undefined && reading !== timeout ? '; writetimeout is longer' : '';
  reader.used(name('timeout'), `timeout is ${described(timeout)}${stretched}`);
  reader.used(name('writetimeout'), `timeout is ${described(timeout)}: one limit for both ways, the longer of the two`);
  return { connectionTimeout, timeout };
}
