import { isIP } from 'node:net';
import tls from 'node:tls';
import { certificatesOf, isReadableBundle } from '../../accounts/certificate-bundle.ts';
import type { TlsConfig } from '../../accounts/model.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { explainNetError } from './net-errors.ts';

/** Options for `tls.connect`, or why there are none: for the operator, with the setting to change. */
export type TlsOptions =
  | { readonly ok: true; readonly options: tls.ConnectionOptions }
  | { readonly ok: false; readonly reason: string };

/** Contexts kept: one per distinct pair of CA bundle and version. Bounds memory where accounts come and go. */
const MAX_CONTEXTS = 32;

const contexts = new LruMap<string, tls.SecureContext>({ max: MAX_CONTEXTS });

/** Names are compared without regard to letter case or a root dot (RFC 4343, RFC 1034 section 3.1). */
const sameHost = (a: string, b: string): boolean => {
  const plain = (name: string) => name.toLowerCase().replace(/\.$/, '');
  return plain(a) === plain(b);
};

/** Node's own list and what the machine's administrator added to the system's store. */
function systemRoots(): string[] {
  return [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])];
}

/** Reading some hundred root certificates takes tens of milliseconds, so a context is made once and shared. */
function secureContext(config: TlsConfig, chainChecked: boolean): tls.SecureContext {
  const key = JSON.stringify([config.minVersion, chainChecked, config.ca]);
  const known = contexts.get(key);
  if (known) return known;
  const old = config.minVersion === 'TLSv1' || config.minVersion === 'TLSv1.1';
  const context = tls.createSecureContext({
    minVersion: config.minVersion,
    // OpenSSL 3 offers TLS 1.0 and 1.1 at security level 0 only, whatever the lowest version says.
    ...(old ? { ciphers: `${tls.DEFAULT_CIPHERS}:@SECLEVEL=0` } : {}),
    ...(chainChecked ? { ca: config.ca === null ? systemRoots() : certificatesOf(config.ca) } : {}),
  });
  contexts.set(key, context);
  return context;
}

/**
 * Options for `tls.connect` by an account's `tls` settings (design section 2). `trust: "*"` checks neither chain nor
 * name; a list does the same for its hosts and refuses any other, as Jakarta Mail does; without it the chain is checked
 * against `ca` or, where that is absent, the system's roots. The server name goes out as SNI unless `host` is an IP
 * address (RFC 6066 section 3). Answers a reason, and never throws, where TLS to this host is not allowed or possible.
 */
export function tlsOptions(host: string, config: TlsConfig): TlsOptions {
  const { trust } = config;
  if (Array.isArray(trust) && !trust.some((name) => sameHost(name, host))) {
    return { ok: false, reason: `tls.trust does not name ${host}: add the host to the list, or leave tls.trust out` };
  }
  const chainChecked = trust === undefined;
  if (chainChecked && config.ca !== null && !isReadableBundle(config.ca)) {
    return { ok: false, reason: 'tls.ca is not a readable PEM bundle of certificates' };
  }
  try {
    return {
      ok: true,
      options: {
        secureContext: secureContext(config, chainChecked),
        minVersion: config.minVersion,
        rejectUnauthorized: chainChecked,
        ...(isIP(host) === 0 ? { servername: host.replace(/\.$/, '') } : {}),
      },
    };
  } catch (error) {
    // Such as a version that the machine's OpenSSL is configured not to speak.
    const { code } = explainNetError(error);
    return { ok: false, reason: `TLS cannot be set up with these settings here (${code}): check tls.minVersion` };
  }
}
