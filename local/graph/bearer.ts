import type { TokenAuthority } from '../entra/entra.ts';
import { parseJwt } from '../entra/jwt.ts';
import { GraphRefusal } from './graph-error.ts';

/** Who calls: the app a token was given to, with its application permissions. */
export interface Caller {
  readonly appId: string;
  readonly tenantId: string;
  /** Undefined: of a foreign authority whose tokens cannot be read here; everything is allowed. */
  readonly roles: ReadonlySet<string> | undefined;
}

/** Microsoft Graph's own app id; tokens may name it as their audience instead of the address. */
const graphAppId = '00000003-0000-0000-c000-000000000000';

/** Throws 401 unless the header carries a token of the authority, for this service, that is valid now. */
export async function readCaller(
  authorization: string | undefined,
  authority: TokenAuthority,
  audience: string,
  now: number,
): Promise<Caller> {
  const [scheme, token] = (authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || !token) throw invalidToken('Access token is empty.');
  const jwt = parseJwt(token);
  if (!authority.key && !jwt) return { appId: 'unknown', tenantId: 'unknown', roles: undefined };
  if (!jwt) throw invalidToken('IDX14100: JWT is not well formed.');
  if (authority.key) {
    const key = authority.key(jwt.header.kid ?? '');
    if (!key || !(await jwt.isSignedBy(key))) throw invalidToken('Access token validation failure. Invalid signature.');
  }
  const { aud = '', exp = 0, nbf = 0, appid, tid, roles } = jwt.claims;
  if (aud.replace(/\/$/, '') !== audience && aud !== graphAppId) {
    throw invalidToken('Access token validation failure. Invalid audience.');
  }
  const seconds = now / 1000;
  // No allowance: a client that uses a token to its last second is a client that fails in the field.
  if (exp <= seconds) throw invalidToken('Lifetime validation failed, the token is expired.');
  if (nbf > seconds + 300) throw invalidToken('Lifetime validation failed, the token is not yet valid.');
  const names = Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [];
  const text = (claim: unknown) => (typeof claim === 'string' ? claim : 'unknown');
  return { appId: text(appid), tenantId: text(tid), roles: new Set(names) };
}

function invalidToken(message: string): GraphRefusal {
  return new GraphRefusal(401, 'InvalidAuthenticationToken', message, { 'www-authenticate': 'Bearer realm=""' });
}
