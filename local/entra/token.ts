import { randomUUID } from 'node:crypto';
import type { HttpsAnswer, HttpsRequest } from '../https-server.ts';
import { type ManagedIdentity, objectIdOf, type RegisteredApp } from './app.ts';
import { checkClientProof } from './client-proof.ts';
import { EntraRefusal } from './errors.ts';
import type { SigningKey } from './jwt.ts';

/** What tokens are made with. */
export interface TokenMint {
  readonly key: SigningKey;
  /** Seconds. */
  readonly lifetime: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface IssuedToken {
  readonly token: string;
  /** Seconds since the epoch. */
  readonly expiresOn: number;
}

/**
 * Who issued a token of version 1.0, whatever the host that it was asked of (Microsoft Learn, "Access token claims
 * reference", `iss`). Resources such as storage look at it.
 */
const issuer = 'https://sts.windows.net';

/** The app-only access token of an app or managed identity for a resource. No roles: no `roles` claim, as in Entra. */
export async function mintToken(
  mint: TokenMint,
  app: ManagedIdentity | RegisteredApp,
  audience: string,
  proof: 'secret' | 'certificate',
): Promise<IssuedToken> {
  const issuedAt = Math.floor(mint.now / 1000);
  const expiresOn = issuedAt + mint.lifetime;
  const objectId = objectIdOf(app);
  const token = await mint.key.sign({
    aud: audience,
    iss: `${issuer}/${app.tenantId}/`,
    iat: issuedAt,
    nbf: issuedAt,
    exp: expiresOn,
    appid: app.clientId,
    appidacr: proof === 'certificate' ? '2' : '1',
    idtyp: 'app',
    oid: objectId,
    sub: objectId,
    tid: app.tenantId,
    // No two tokens are the same.
    uti: randomUUID(),
    ver: '1.0',
    ...(app.roles && app.roles.length > 0 ? { roles: app.roles } : {}),
  });
  return { token, expiresOn };
}

/** The token endpoint for client credentials (RFC 6749 section 4.4, and Entra's `/.default` scope). */
export async function tokenAnswer(
  request: HttpsRequest,
  tenant: string,
  apps: readonly RegisteredApp[],
  mint: TokenMint,
): Promise<HttpsAnswer> {
  const form = new URLSearchParams(request.body);
  const clientId = form.get('client_id');
  const grant = form.get('grant_type');
  if (clientId === null) throw new EntraRefusal('badRequest', "The request body must contain 'client_id'.");
  if (grant === null) throw new EntraRefusal('badRequest', "The request body must contain 'grant_type'.");
  if (grant !== 'client_credentials') {
    throw new EntraRefusal('unsupportedGrant', `The grant type '${grant}' is not supported.`);
  }
  const app = apps.find((one) => one.tenantId === tenant && one.clientId === clientId);
  if (!app) throw new EntraRefusal('unknownApp', `There is no app '${clientId}' in tenant '${tenant}'.`);
  const base = `${request.origin}/${tenant}`;
  await checkClientProof(app, form, [`${base}/oauth2/v2.0/token`, `${base}/v2.0`, `${base}/oauth2/token`], mint.now);
  const audience = resourceOf(form.get('scope') ?? '');
  if (audience === undefined) {
    throw new EntraRefusal('invalidScope', "The scope of client credentials is one resource followed by '/.default'.");
  }
  if (app.consented === false) {
    throw new EntraRefusal('consentMissing', `No administrator has consented to the use of app '${clientId}'.`);
  }
  const { token } = await mintToken(mint, app, audience, form.has('client_assertion') ? 'certificate' : 'secret');
  const { lifetime } = mint;
  const body = { token_type: 'Bearer', expires_in: lifetime, ext_expires_in: lifetime, access_token: token };
  return { status: 200, body };
}

/** `https://vault.azure.net/.default` is the resource `https://vault.azure.net`. OpenID scopes may stand beside it. */
function resourceOf(scope: string): string | undefined {
  const ignored = new Set(['openid', 'profile', 'offline_access', '']);
  const [resource, ...more] = scope.split(' ').filter((part) => !ignored.has(part));
  if (resource === undefined || more.length > 0 || !resource.endsWith('/.default')) return undefined;
  return resource.slice(0, -'/.default'.length) || undefined;
}
