import type { ServerAuth } from '../accounts/model.ts';

/** Reads a Key Vault secret by name; throws where it is missing. */
export type ReadSecret = (name: string, signal: AbortSignal) => Promise<string>;

/** What an account signs in to a mail server with. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | {
      readonly kind: 'token';
      readonly user: string;
      /** Bearer token for SASL XOAUTH2. */
      readonly token: string;
      /** The server did not take this token: the next one is asked for anew. */
      refused(): void;
    };

/**
 * Why there is nothing to sign in with: `secret` (Key Vault gave none), `refused` (Entra ID refuses the app),
 * `temporary` (Entra ID or the way to it has trouble). None of them says anything about the mail server.
 */
export type CredentialsErrorKind = 'secret' | 'refused' | 'temporary';

export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
  readonly kind: CredentialsErrorKind;
  readonly code: string;
  readonly hint: string;
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: CredentialsErrorKind,
    message: string,
    details: { readonly code: string; readonly hint: string; readonly retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.kind = kind;
    this.code = details.code;
    this.hint = details.hint;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/**
 * The credentials of a server account, read for each connection anew, so that a rotated secret is used by the next one.
 * Throws CredentialsError, whose text holds no secret, or the signal's reason.
 */
export async function readCredentials(
  auth: ServerAuth,
  context: { readonly secret: ReadSecret },
  signal: AbortSignal,
): Promise<Credentials> {
  switch (auth.type) {
    case 'none':
      return { kind: 'none' };
    case 'password':
      return { kind: 'password', user: auth.user, password: await readSecret(auth.secret, context.secret, signal) };
    case 'oauth2':
      throw new Error('not there yet');
  }
}

/** The value of a secret, never empty. */
async function readSecret(name: string, secret: ReadSecret, signal: AbortSignal): Promise<string> {
  const failure = (what: string) =>
    new CredentialsError('secret', `the secret ${name} ${what}`, {
      code: 'SECRET',
      hint: `Store the password as the secret ${name}, or check the app's access to Key Vault.`,
    });
  let value: string;
  try {
    value = await secret(name, signal);
  } catch {
    // The error's text is not passed on: who knows what it quotes.
    signal.throwIfAborted();
    throw failure('could not be read');
  }
  if (value === '') throw failure('is empty');
  return value;
}
