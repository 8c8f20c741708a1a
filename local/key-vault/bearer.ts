import type { TokenAuthority } from '../entra/entra.ts';
import { parseJwt } from '../entra/jwt.ts';

export const vaultResource = 'https://vault.azure.net';

/** Clocks may differ by this much. */
const skewSeconds = 300;

/**
 * What is wrong with the token of an Authorization header; undefined when the vault may trust it. Of an authority whose
 * keys are not known any token will do.
 */
export async function tokenFault(
  authorization: string | undefined,
  authority: TokenAuthority,
): Promise<string | undefined> {
  const [scheme, token] = (authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || !token) return 'AKV10000: Request is missing a Bearer token.';
  // A foreign authority may give out tokens that only it can read.
  if (!authority.key) return undefined;
  const jwt = parseJwt(token);
  const key = authority.key(jwt?.header.kid ?? '');
  if (!jwt || !key || !(await jwt.isSignedBy(key))) return 'AKV10022: The signature of the token cannot be verified.';
  const { aud, exp = 0, nbf = 0 } = jwt.claims;
  const seconds = Date.now() / 1000;
  if (exp < seconds - skewSeconds || nbf > seconds + skewSeconds) {
    return 'AKV10001: The token is not valid at this time.';
  }
  if (aud !== vaultResource && aud !== `${vaultResource}/`) return `AKV10022: Invalid audience: ${aud}.`;
  return undefined;
}
