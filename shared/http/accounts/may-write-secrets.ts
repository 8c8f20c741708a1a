import { signInInFront } from '../../platform/environment.ts';
import type { CallRequest } from '../call.ts';
import { keyOpens } from '../function-key.ts';

/** The route that writes secrets, without a body: where the host lets the key in, the empty request is refused. */
const probe = { method: 'PUT', path: '/api/accounts/-/secrets/-', lets: 400 } as const;

/**
 * Whether a caller who may change accounts may write their secrets as well. With Entra sign-in both are the role
 * Mailroom.Admin, which the caller has. With function keys the key must open the route that writes secrets, too: a host
 * key and the master key open both.
 */
export async function mayWriteSecrets(request: Pick<CallRequest, 'headers' | 'query'>): Promise<boolean> {
  return signInInFront() || (await keyOpens(request, probe));
}
