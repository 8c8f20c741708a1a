import { createHash, type KeyObject } from 'node:crypto';
import type { LocalCertificate } from '../certificate.ts';
import { type HttpsAnswer, type HttpsRequest, startHttps } from '../https-server.ts';
import { checkClientProof, type RegisteredApp } from './client-proof.ts';
import { EntraRefusal, refusalAnswer } from './errors.ts';
import { makeSigningKey, type SigningKey } from './jwt.ts';

export interface EntraOptions {
  readonly certificate: LocalCertificate;
  readonly apps: readonly RegisteredApp[];
  /** Absent: the system picks. */
  readonly port?: number;
  /** Seconds a token lives. Entra's own tokens live 60 to 90 minutes. */
  readonly tokenLifetime?: number;
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
  stop(): Promise<void>;
}

const defaultLifetimeSeconds = 3599;

/**
 * A stand-in for Entra ID (Microsoft identity platform v2.0) on 127.0.0.1: discovery, keys, and tokens for client
 * credentials with a secret or a certificate. Its signing key is new at every start.
 */
export async function startEntra(options: EntraOptions): Promise<Entra> {
  const signingKey = makeSigningKey();
  let issued = 0;
  const server = await startHttps({
    certificate: options.certificate,
    ...(options.port === undefined ? {} : { port: options.port }),
    answer(request) {
      try {
        const answer = route(request, options, signingKey);
        if (answer.status === 200 && request.method === 'POST') issued++;
        return answer;
      } catch (error) {
        if (error instanceof EntraRefusal) return refusalAnswer(error, Date.now());
        throw error;
      }
    },
  });
  return {
    port: server.port,
    authorityHost: `https://localhost:${server.port}`,
    key: (kid) => (kid === signingKey.id ? signingKey.publicKey : undefined),
    get issued() {
      return issued;
    },
    stop: () => server.stop(),
  };
}

function route(request: HttpsRequest, options: EntraOptions, signingKey: SigningKey): HttpsAnswer {
  const [tenant = '', ...rest] = request.path;
  const what = `${request.method} ${rest.join('/')}`;
  if (what === 'GET discovery/instance') return instanceDiscovery(request);
  if (!options.apps.some((app) => app.tenantId === tenant)) {
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
      return { status: 200, body: { keys: [{ ...signingKey.jwk, issuer: `${base}/v2.0` }] } };
    case 'POST oauth2/v2.0/token':
      return token(request, tenant, options, signingKey);
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

function token(request: HttpsRequest, tenant: string, options: EntraOptions, signingKey: SigningKey): HttpsAnswer {
  const form = new URLSearchParams(request.body);
  const clientId = form.get('client_id');
  const grant = form.get('grant_type');
  if (clientId === null) throw new EntraRefusal('badRequest', "The request body must contain 'client_id'.");
  if (grant === null) throw new EntraRefusal('badRequest', "The request body must contain 'grant_type'.");
  if (grant !== 'client_credentials') {
    throw new EntraRefusal('unsupportedGrant', `The grant type '${grant}' is not supported.`);
  }
  const app = options.apps.find((one) => one.tenantId === tenant && one.clientId === clientId);
  if (!app) throw new EntraRefusal('unknownApp', `There is no app '${clientId}' in tenant '${tenant}'.`);
  const base = `${request.origin}/${tenant}`;
  const audiences = [`${base}/oauth2/v2.0/token`, `${base}/v2.0`, `${base}/oauth2/token`];
  checkClientProof(app, form, audiences, Date.now());
  const audience = resourceOf(form.get('scope') ?? '');
  if (audience === undefined) {
    throw new EntraRefusal('invalidScope', "The scope of client credentials is one resource followed by '/.default'.");
  }
  const lifetime = options.tokenLifetime ?? defaultLifetimeSeconds;
  const now = Math.floor(Date.now() / 1000);
  const objectId = objectIdOf(app);
  const claims = {
    aud: audience,
    iss: `${request.origin}/${tenant}/`,
    iat: now,
    nbf: now,
    exp: now + lifetime,
    appid: app.clientId,
    appidacr: form.has('client_assertion') ? '2' : '1',
    idtyp: 'app',
    oid: objectId,
    sub: objectId,
    tid: tenant,
    ver: '1.0',
    ...(app.roles ? { roles: app.roles } : {}),
  };
  const body = {
    token_type: 'Bearer',
    expires_in: lifetime,
    ext_expires_in: lifetime,
    access_token: signingKey.sign(claims),
  };
  return { status: 200, body };
}

/** `https://vault.azure.net/.default` is the resource `https://vault.azure.net`. OpenID scopes may stand beside it. */
function resourceOf(scope: string): string | undefined {
  const ignored = new Set(['openid', 'profile', 'offline_access', '']);
  const [resource, ...more] = scope.split(' ').filter((part) => !ignored.has(part));
  if (resource === undefined || more.length > 0 || !resource.endsWith('/.default')) return undefined;
  return resource.slice(0, -'/.default'.length) || undefined;
}

/** The id of the app's service principal: made up, but the same at every start. */
function objectIdOf(app: RegisteredApp): string {
  const hex = createHash('sha256').update(`${app.tenantId}/${app.clientId}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
