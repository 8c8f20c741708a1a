/** What kind of trouble an error of a socket, a name look-up or a TLS handshake means. */
export type NetErrorKind = 'dns' | 'refused' | 'timeout' | 'tls' | 'reset' | 'other';

/** What an error of the network means. */
export interface NetErrorExplanation {
  /** The system's or the TLS library's code, such as `ECONNREFUSED`; `UNKNOWN` where the error has none. */
  readonly code: string;
  readonly kind: NetErrorKind;
  /** What a person can do about it. */
  readonly hint: string;
  /** True where the server was reached and its certificate was not accepted: a matter of the account's settings. */
  readonly certificate: boolean;
}

/** Causes followed at most: enough for every library here, and an end where causes form a ring. */
const MAX_DEPTH = 5;

/** OpenSSL's verification results as Node names them, with the setting that would accept such a certificate. */
const certificateHints: ReadonlyMap<string, string> = new Map([
  [
    'CERT_HAS_EXPIRED',
    'The server’s certificate has expired. Renew it on the server; tls.trust with this host would accept it unchecked.',
  ],
  [
    'CERT_NOT_YET_VALID',
    'The server’s certificate is not valid yet. Check the clocks; tls.trust with this host would accept it unchecked.',
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'The server’s certificate is for another name. Use the name in the certificate as host, or name this host in tls.trust.',
  ],
  [
    'HOSTNAME_MISMATCH',
    'The server’s certificate is for another name. Use the name in the certificate as host, or name this host in tls.trust.',
  ],
]);

const untrustedHint =
  'The server’s certificate comes from an authority that is not known here. Put the authority’s certificate (PEM) in tls.ca, or name this host in tls.trust.';

const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]);

const socketCodes: ReadonlyMap<string, readonly [NetErrorKind, string]> = new Map([
  [
    'ADDRESS_REFUSED',
    [
      'refused',
      'The host leads to this machine itself or to the platform’s own services, where mail servers are not looked for. Check host; an operator can allow networks by MAIL_ALLOWED_NETWORKS.',
    ],
  ],
  ['ENOTFOUND', ['dns', 'The host name does not resolve. Check host.']],
  ['EAI_AGAIN', ['dns', 'The name server did not answer. It may pass; else check the network’s DNS.']],
  ['EAI_FAIL', ['dns', 'The name look-up failed. Check host and the network’s DNS.']],
  ['EAI_NONAME', ['dns', 'The host name does not resolve. Check host.']],
  ['EAI_NODATA', ['dns', 'The host name has no address. Check host.']],
  ['EDNS', ['dns', 'The name look-up failed. Check host and the network’s DNS.']],
  ['ECONNREFUSED', ['refused', 'Nothing listens there. Check host and port, and that the server runs.']],
  ['EHOSTUNREACH', ['refused', 'No way leads to the server. Check host, routes and firewalls.']],
  ['ENETUNREACH', ['refused', 'No way leads to the server. Check host, routes and firewalls.']],
  ['EACCES', ['refused', 'The connection was forbidden on this side. Check outbound rules.']],
  ['EADDRNOTAVAIL', ['refused', 'No local address or port is left for the connection. Check host and outbound ports.']],
  [
    'ETIMEDOUT',
    [
      'timeout',
      'The server did not answer in time. Check host, port and firewalls; Azure blocks outbound port 25 by default.',
    ],
  ],
  ['ESOCKETTIMEDOUT', ['timeout', 'The server did not answer in time. Check host, port and firewalls.']],
  ['ECONNRESET', ['reset', 'The server or something between cut the connection. It may pass.']],
  ['EPIPE', ['reset', 'The server or something between cut the connection. It may pass.']],
  ['ECONNABORTED', ['reset', 'The connection was cut. It may pass.']],
]);

/** Names that libraries give to any loss; the system's code behind them says more. */
const vagueCodes: ReadonlySet<string> = new Set([
  'ESOCKET',
  'ECONNECTION',
  'ETLS',
  'EPROTOCOL',
  'NoConnection',
  'EConnectionClosed',
]);

function property(value: object, name: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** Every code on the error, its causes and, for several addresses tried, its parts; the most specific first. */
function codesOf(error: unknown, depth = 0): readonly string[] {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return [];
  const parts = property(error, 'errors');
  const own = [property(error, 'originalCode'), property(error, 'code')].filter(
    (code): code is string => typeof code === 'string' && code !== '',
  );
  const behind = [...(Array.isArray(parts) ? parts.slice(0, 1) : []), property(error, 'cause')].flatMap((part) =>
    codesOf(part, depth + 1),
  );
  const all = [...own, ...behind];
  return [...all.filter((code) => !vagueCodes.has(code)), ...all.filter((code) => vagueCodes.has(code))];
}

/** Says what an error of the network means and what a person can do. Reads codes only, never the error's text. */
export function explainNetError(error: unknown): NetErrorExplanation {
  const code = codesOf(error)[0] ?? 'UNKNOWN';
  const certificateHint = certificateHints.get(code) ?? (untrusted.has(code) ? untrustedHint : undefined);
  if (certificateHint !== undefined) return { code, kind: 'tls', hint: certificateHint, certificate: true };
  const known = socketCodes.get(code);
  if (known) return { code, kind: known[0], hint: known[1], certificate: false };
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    const hint =
      'The server does not speak TLS from the start on this port. Check the port, or use the plain protocol with STARTTLS.';
    return { code, kind: 'tls', hint, certificate: false };
  }
  if (/^ERR_(SSL|TLS)_/.test(code) || code === 'EPROTO' || code === 'ETLS' || code === 'CERT_UNKNOWN') {
    const hint =
      'The TLS handshake failed. Check the port and tls.minVersion; the server may only speak an older version.';
    return { code, kind: 'tls', hint, certificate: false };
  }
  return {
    code,
    kind: 'other',
    hint: 'The connection failed. Check host, port and the server’s log.',
    certificate: false,
  };
}
