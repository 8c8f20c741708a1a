import { explainNetError } from '../net/net-errors.ts';
import type { CredentialsError } from '../sign-in/credentials-error.ts';
import type { Trouble } from '../transport.ts';

/** The trouble of an account that there is nothing to sign in with for: it says nothing about the mail server. */
export function credentialsTrouble({ kind, code, hint, status, retryAfterMs }: CredentialsError): Trouble {
  return {
    scope: kind !== 'temporary' ? 'account' : status === 429 ? 'throttled' : 'connection',
    code,
    hint,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The trouble behind a connection that could not be made, or that the network cut. */
export function lossTrouble(error: unknown): Trouble {
  const { code, hint, certificate } = explainNetError(error);
  return { scope: certificate ? 'account' : 'connection', code, hint };
}
