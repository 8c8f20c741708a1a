import type { KeyObject } from 'node:crypto';
import type { LocalCertificate } from '../certificate.ts';
import { type HttpsAnswer, type HttpsRequest, startHttps } from '../https-server.ts';
import type { ManagedIdentity, RegisteredApp } from './app.ts';
import { EntraRefusal, refusalAnswer } from './errors.ts';
import { makeSigningKey } from './jwt.ts';
import { type IssuedToken, mintToken, type TokenMint, tokenAnswer } from './token.ts';

export type { ManagedIdentity, RegisteredApp } from './app.ts';

export interface EntraOptions {
  readonly certificate: LocalCertificate;
  readonly apps: readonly RegisteredApp[];
  /** Absent: the system picks. */
  readonly port?: number;
  /** Seconds a token lives. Entra's own tokens live 60 to 90 minutes. */
  readonly tokenLifetime?: number;
  /** Milliseconds since the epoch. Absent: the system's clock. */
  readonly now?: () => number;
}

/** What a resource needs in order to judge a token of this authority. */
export interface TokenAuthority {
  /** Without a path: `https://localhost:port`. */
  readonly authorityHost: string;
  /** The public key with this `kid`, if it is one of the authority's. Absent: its keys cannot be known here. */
  readonly key?: (kid: string) => KeyObject | undefined;
}

export interface Entra extends TokenAuthority {
  readonly key: (kid: string) => KeyObject | undefined;
  readonly port: number;
  /** Tokens given out since the start: a test sees that clients keep theirs. */
  readonly issued: number;
  /** Adds an app, or replaces the one with its tenant and client id: a rotated secret, another role. */
  register(app: RegisteredApp): void;
  /** Seconds; counts for tokens given out from now on. */
  setTokenLifetime(seconds: number): void;
  /** A token without a request, as Azure gives one to a managed identity. `resource` is its audience. */
  issue(identity: ManagedIdentity, resource: string): Promise<IssuedToken>;
  stop(): Promise<void>;
}

const defaultLifetimeSeconds = 3599;

/**
 * A stand-in for Entra ID (Microsoft identity platform v2.0) on 127.0.0.1: discovery, keys, and tokens for client
 * credentials with a secret or a certificate. Its signing key is new at every start.
 */
export async function startEntra(options: EntraOptions): Promise<Entra> {
  const key = makeSigningKey();
  const now = options.now ?? Date.now;
  const apps = [...options.apps];
  let lifetime = options.tokenLifetime ?? defaultLifetimeSeconds;
  let issued = 0;
  const mint = (): TokenMint => ({ key, lifetime, now: now() });
  const server = await startHttps({
    certificate: options.certificate,
    ...(options.port === undefined ? {} : { port: options.port }),
    async answer(request) {
      try {
        const answer = await route(request, apps, mint());
        if (answer.status === 200 && request.method === 'POST') issued++;
        return answer;
      } catch (error) {
        if (error instanceof EntraRefusal) return refusalAnswer(error, now());
        throw error;
      }
    },
  });
  const authorityHost = `https://localhost:${server.port}`;
  return {
    port: server.port,
    authorityHost,
    key: (kid) => (kid === key.id ? key.publicKey : undefined),
    get issued() {
      return issued;
    },
    register(app) {
      const at = apps.findIndex((one) => one.tenantId === app.tenantId && one.clientId === app.clientId);
      apps.splice(at < 0 ? apps.length : at, at < 0 ? 0 : 1, app);
    },
    setTokenLifetime(seconds) {
      lifetime = seconds;
    },
    issue(identity, resource) {
      issued++;
      return mintToken(mint(), identity, resource, 'certificate');
    },
    stop: () => server.stop(),
  };
}

async function route(request: HttpsRequest, apps: readonly RegisteredApp[], mint: TokenMint): Promise<HttpsAnswer> {
  const [tenant = '', ...rest] = request.path;
  const what = `${request.method} ${rest.join('/')}`;
  if (what === 'GET discovery/instance') return instanceDiscovery(request);
  if (!apps.some((app) => app.tenantId === tenant)) {
    if (rest.length === 0) return { status: 404 };
    throw new EntraRefusal('tenantNotFound', `There is no tenant '${tenant}'.`);
  }
  const base = `${request.origin}/${tenant}`;
  switch (what) {
    case 'GET v2.0/.well-known/openid-configuration':
    case 'GET .well-known/openid-configuration':
      return openIdConfiguration(request.origin, tenant);
    case 'GET discovery/v2.0/keys':
    case 'GET discovery/keys':
      return { status: 200, body: { keys: [{ ...mint.key.jwk, issuer: `${base}/v2.0` }] } };
    case 'POST oauth2/v2.0/token':
      return await tokenAnswer(request, tenant, apps, mint);
    default:
      return { status: 404 };
  }
}

/** Asked by MSAL before it trusts a host that it does not know (unless that is turned off). */
function instanceDiscovery(request: HttpsRequest): HttpsAnswer {
  const endpoint = request.query.get('authorization_endpoint') ?? '';
  const tenant = URL.parse(endpoint)?.pathname.split('/')[1] ?? 'common';
  const host = new URL(request.origin).host;
  return {
    status: 200,
    body: {
      tenant_discovery_endpoint: `${request.origin}/${tenant}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    },
  };
}

function openIdConfiguration(origin: string, tenant: string): HttpsAnswer {
  const base = `${origin}/${tenant}`;
  return {
    status: 200,
    body: {
      issuer: `${base}/v2.0`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
      grant_types_supported: ['client_credentials'],
      response_types_supported: ['code'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
    },
  };
}
