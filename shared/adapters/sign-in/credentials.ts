import type { CloudOverrides } from './entra/place.ts';
import { type ReadSecret, secretValue } from './secret-value.ts';
import type { SignInServer } from './sign-in-server.ts';
import type { TokenRefusal } from './token-refusal.ts';

export { CredentialsError } from './credentials-error.ts';
export type { ReadSecret } from './secret-value.ts';

/** What an account signs in to a mail server with. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | {
      readonly kind: 'token';
      readonly user: string;
      /** Bearer token for SASL XOAUTH2. */
      readonly token: string;
      /** It was there already, and was not asked for just now. */
      readonly kept: boolean;
      /** The server refused this token: the next call gets a new one. */
      refused(): void;
    };

/** What reading credentials asks of the service. */
export interface CredentialsContext {
  readonly secret: ReadSecret;
  /** Where Entra ID is, if not where the server's cloud has it. */
  readonly overrides?: CloudOverrides | undefined;
  /** Why a server gets no access token; absent: the rule for servers of Exchange Online alone. */
  readonly tokenRefusal?: TokenRefusal | undefined;
}

/**
 * The credentials of a server account, read again for each connection, so that a rotated secret is used by the next
 * one. Tokens are kept per credential and process. Throws CredentialsError, whose text holds no secret, or the signal's
 * reason.
 */
export async function readCredentials(
  server: SignInServer,
  context: CredentialsContext,
  signal: AbortSignal,
): Promise<Credentials> {
  const { host, auth } = server;
  switch (auth.type) {
    case 'none':
      return { kind: 'none' };
    case 'password': {
      const password = await secretValue(auth.secret, 'password', context.secret, signal);
      return { kind: 'password', user: auth.user, password };
    }
    case 'oauth2': {
      const [{ signInFor }, { exchangePlace }, { tokenRefusal }] = await Promise.all([
        import('./entra/sign-in.ts'),
        import('./entra/place.ts'),
        import('./token-refusal.ts'),
      ]);
      const refusal = (context.tokenRefusal ?? tokenRefusal())(server);
      if (refusal) throw refusal;
      const place = exchangePlace(host, context.overrides);
      const signIn = await signInFor(auth.credential, place, context.secret, { signal });
      const { value, kept } = await signIn.token(signal);
      return { kind: 'token', user: auth.user, token: value, kept, refused: () => signIn.refused(value) };
    }
  }
}

/** How a connection signs in. */
export interface SignInAttempt<T> {
  /** Opens a connection with these credentials. */
  attempt(credentials: Credentials): Promise<T>;
  /** Whether an attempt failed because the server refused the credentials. */
  isRefusal(error: unknown): boolean;
}

/**
 * Signs in by `attempt` with the account's credentials. Where it fails as `isRefusal` says and the token was a kept one,
 * it is tried once more with a token made for it: a kept one may have been revoked, or be older than a new permission.
 * Throws CredentialsError, the signal's reason, and what `attempt` throws.
 */
export async function withCredentials<T>(
  server: SignInServer,
  context: CredentialsContext,
  signal: AbortSignal,
  { attempt, isRefusal }: SignInAttempt<T>,
): Promise<T> {
  const credentials = await readCredentials(server, context, signal);
  try {
    return await attempt(credentials);
  } catch (error) {
    if (credentials.kind !== 'token' || !isRefusal(error)) throw error;
    credentials.refused();
    if (!credentials.kept) throw error;
  }
  const renewed = await readCredentials(server, context, signal);
  try {
    return await attempt(renewed);
  } catch (error) {
    if (renewed.kind === 'token' && isRefusal(error)) renewed.refused();
    throw error;
  }
}
