import type { Mistake } from '../../http/problem.ts';
import { protocolPairs, type ServerProtocol } from './known-properties.ts';
import type { PropertySheet } from './property-sheet.ts';

/** One of the two ends of an account that is a server, as the properties describe it. */
export interface ServerEnd {
  readonly side: 'transport' | 'store';
  /** What `mail.transport.protocol` or `mail.store.protocol` says: the prefix of its properties. */
  readonly prefix: ServerProtocol;
  /** The account's protocol: the prefix, or with `ssl.enable` its sibling. */
  readonly protocol: ServerProtocol;
}

/** Full name of a property of this end. */
export function nameOf({ prefix }: ServerEnd, suffix: string): string {
  return `mail.${prefix}.${suffix}`;
}

export const isSmtp = ({ prefix }: Pick<ServerEnd, 'prefix'>): boolean => prefix === 'smtp' || prefix === 'smtps';

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

/** The end with its protocol: `ssl.enable` makes smtp what smtps is (SMTPTransport, IMAPStore, POP3Store). */
export function serverEnd(sheet: PropertySheet, side: ServerEnd['side'], prefix: ServerProtocol): ServerEnd {
  const name = `mail.${prefix}.ssl.enable`;
  const enable = sheet.boolean(name);
  const secure = withTls[prefix];
  if (enable === true && prefix !== secure) {
    sheet.used(name, `TLS from the start: the protocol is ${secure}, with its default port`);
    return { side, prefix, protocol: secure };
  }
  if (enable === true) sheet.used(name, `${prefix} always begins with TLS`);
  else if (prefix === secure) sheet.ignored(name, `${prefix} always begins with TLS, in Jakarta Mail too`);
  else sheet.used(name, 'no TLS from the start; STARTTLS is decided by starttls.enable');
  return { side, prefix, protocol: prefix };
}

/** Host, port, TLS and limits of a server, as fields of the account; `notes` are for the account's warnings. */
export function mapServer(sheet: PropertySheet, end: ServerEnd, notes: Mistake[]): Record<string, unknown> {
  const own = nameOf(end, 'host');
  const hostName = sheet.has(own) ? own : 'mail.host';
  const host = sheet.text(hostName);
  if (host === undefined) sheet.wrong(own, missingHost(sheet, end), `/${end.side}/host`);
  else sheet.used(hostName, `host of the ${end.side}`);
  sheet.origin(`/${end.side}/host`, hostName);

  const portName = nameOf(end, 'port');
  const port = sheet.integer(portName, { from: 1, to: 65_535 });
  sheet.used(portName, `port of the ${end.side}`);
  if (port !== undefined && port === tlsPorts[end.protocol])
    notes.push({
      pointer: `/${end.side}/port`,
      detail: `servers expect TLS from the start on ${port}: is ${nameOf(end, 'ssl.enable')}=true missing?`,
    });

  return {
    protocol: end.protocol,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    tls: mapTls(sheet, end, host, notes),
    ...mapLimits(sheet, end, notes),
  };
}

function missingHost(sheet: PropertySheet, { prefix }: ServerEnd): string {
  const pair = protocolPairs.find((each) => each.some((one) => one === prefix)) ?? [];
  const other = pair.find((one) => one !== prefix && sheet.has(`mail.${one}.host`));
  return other === undefined
    ? `is required: ${prefix} has no host`
    : `is required: ${prefix} reads only mail.${prefix}.*, and mail.${other}.host is given`;
}

function mapTls(
  sheet: PropertySheet,
  end: ServerEnd,
  host: string | undefined,
  notes: Mistake[],
): Record<string, unknown> {
  const starttls = mapStarttls(sheet, end, notes);
  const names = ['ssl.trust', 'ssl.checkserveridentity', 'ssl.protocols'].map((suffix) => nameOf(end, suffix));
  if (starttls === 'never') {
    for (const name of names) sheet.ignored(name, 'nothing is encrypted');
    return { starttls };
  }
  const trust = mapTrust(sheet, end, host);
  checkIdentity(sheet, end, trust !== undefined);
  const minVersion = mapVersions(sheet, end);
  return {
    ...(starttls ? { starttls } : {}),
    ...(trust === undefined ? {} : { trust }),
    ...(minVersion === undefined ? {} : { minVersion }),
  };
}

/** Undefined where TLS is there from the start. */
function mapStarttls(
  sheet: PropertySheet,
  end: ServerEnd,
  notes: Mistake[],
): 'required' | 'preferred' | 'never' | undefined {
  const [enableName, requiredName] = [nameOf(end, 'starttls.enable'), nameOf(end, 'starttls.required')];
  const [enable, required] = [sheet.boolean(enableName), sheet.boolean(requiredName)];
  if (end.protocol.endsWith('s')) {
    for (const name of [enableName, requiredName]) sheet.ignored(name, 'TLS is there from the start');
    return undefined;
  }
  if (required === true) {
    sheet.used(requiredName, 'tls.starttls is required: without STARTTLS there is no connection');
    if (enable === false) sheet.ignored(enableName, 'starttls.required decides, in Jakarta Mail too');
    else sheet.used(enableName, 'tls.starttls; starttls.required makes it required');
    return 'required';
  }
  sheet.used(requiredName, 'STARTTLS is not required');
  if (enable === false) {
    sheet.insecure(enableName, 'tls.starttls is never: nothing is encrypted, a password neither');
    return 'never';
  }
  sheet.used(
    enableName,
    'tls.starttls is preferred: taken where the server offers it; where it does not, no password is sent (Jakarta Mail sends it)',
  );
  if (enable === undefined)
    notes.push({
      pointer: `/${end.side}/tls/starttls`,
      detail: `${enableName} is not given: STARTTLS is taken where the server offers it, where Jakarta Mail would not encrypt`,
    });
  return 'preferred';
}

function mapTrust(sheet: PropertySheet, end: ServerEnd, host: string | undefined): '*' | readonly string[] | undefined {
  const name = nameOf(end, 'ssl.trust');
  const text = sheet.text(name);
  sheet.origin(`/${end.side}/tls/trust`, name);
  if (text === undefined) return undefined;
  if (text === '*') {
    sheet.insecure(name, 'tls.trust is *: neither the chain nor the name of the certificate is checked');
    return '*';
  }
  if (/[,;]/.test(text)) {
    sheet.wrong(name, 'hosts are separated by white space: Jakarta Mail would take this for one name');
    return undefined;
  }
  const hosts = text.split(/\s+/);
  const named = host !== undefined && hosts.some((each) => each.toLowerCase() === host.toLowerCase());
  sheet.used(
    name,
    named
      ? 'tls.trust: the certificate of these hosts is taken as it is, chain and name unchecked'
      : `tls.trust does not name the host of the ${end.side}: every connection is refused, as in Jakarta Mail`,
  );
  return hosts;
}

function checkIdentity(sheet: PropertySheet, end: ServerEnd, trusted: boolean): void {
  const name = nameOf(end, 'ssl.checkserveridentity');
  const check = sheet.boolean(name);
  if (trusted)
    sheet.insecure(name, 'with ssl.trust neither the chain nor the name is checked here, whatever this says');
  else if (check === false)
    sheet.ignored(
      name,
      'chain and name of the certificate are always checked; for a server whose certificate has another name, use ssl.trust',
    );
  else sheet.used(name, 'the name of the certificate is always checked');
}

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

function mapVersions(sheet: PropertySheet, end: ServerEnd): (typeof versions)[number] | undefined {
  const name = nameOf(end, 'ssl.protocols');
  const tokens = sheet.text(name)?.split(/[\s,]+/);
  if (tokens === undefined) return undefined;
  const lowest = versions.find((version) => tokens.includes(version));
  if (lowest === undefined) {
    sheet.wrong(name, `names none of ${versions.join(', ')}`);
    return undefined;
  }
  if (lowest === 'TLSv1' || lowest === 'TLSv1.1')
    sheet.insecure(name, `tls.minVersion is ${lowest}, which is no longer safe (RFC 8996)`);
  else sheet.used(name, `tls.minVersion is ${lowest}; later versions are taken too`);
  return lowest;
}

function mapLimits(sheet: PropertySheet, end: ServerEnd, notes: Mistake[]): Record<string, number> {
  const name = (suffix: string) => nameOf(end, suffix);
  /** 0 and less have no limit in Jakarta Mail. */
  const read = (suffix: string): number | undefined => {
    const limit = sheet.integer(name(suffix));
    return limit === undefined ? undefined : Math.min(Math.max(limit, 0), longest);
  };
  const told = (limit: number) =>
    limit === 0 ? '0: no limit of its own' : `${limit} ms${limit === longest ? ', the longest there is' : ''}`;
  const note = (field: string, suffix: string, limit: number) =>
    notes.push({
      pointer: `/${end.side}/${field}`,
      detail: `${name(suffix)} is not given: ${told(limit)}, where Jakarta Mail would wait for ever`,
    });

  const connection = read('connectiontimeout');
  const connectionTimeout = connection ?? defaultLimits.connectionTimeout;
  if (connection === undefined) note('connectionTimeout', 'connectiontimeout', connectionTimeout);
  sheet.used(name('connectiontimeout'), `connectionTimeout is ${told(connectionTimeout)}`);

  const [reading, writing] = [read('timeout'), read('writetimeout')];
  const both = [reading ?? defaultLimits.timeout, writing ?? reading ?? defaultLimits.timeout];
  const timeout = both.includes(0) ? 0 : Math.max(...both);
  if (reading === undefined) note('timeout', 'timeout', timeout);
  const stretched = reading !== undefined && reading !== timeout ? '; writetimeout is longer' : '';
  sheet.used(name('timeout'), `timeout is ${told(timeout)}${stretched}`);
  sheet.used(name('writetimeout'), `timeout is ${told(timeout)}: one limit for both ways, the longer of the two`);
  return { connectionTimeout, timeout };
}
