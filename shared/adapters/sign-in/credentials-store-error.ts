import { StoreError, type StoreErrorKind } from '../store.ts';
import { abortedError, internalError } from '../store-troubles.ts';
import { type Credentials, type CredentialsContext, CredentialsError, withCredentials } from './credentials.ts';
import type { SignInServer } from './sign-in-server.ts';

const kinds: Readonly<Record<CredentialsError['kind'], StoreErrorKind>> = {
  // It says nothing about whether the server would take it.
  secret: 'connection',
  refused: 'signIn',
  temporary: 'connection',
};

/** The StoreError for whatever kept a store from signing in: its credentials, its own StoreError, or the signal. */
export function credentialsStoreError(error: unknown, signal: AbortSignal): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof CredentialsError) {
    const { kind, message, code, hint, status, retryAfterMs } = error;
    return new StoreError(status === 429 ? 'throttled' : kinds[kind], message, {
      code,
      hint,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (signal.aborted) return abortedError(signal);
  return internalError(error);
}

/**
 * Opens a store's connection by `attempt` with the account's credentials. A kept token that is refused is renewed once.
 * Throws StoreError.
 */
export async function withStoreCredentials<T>(
  server: SignInServer,
  context: CredentialsContext,
  signal: AbortSignal,
  attempt: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const isRefusal = (error: unknown) => error instanceof StoreError && error.kind === 'signIn';
  try {
    return await withCredentials(server, context, signal, { attempt, isRefusal });
  } catch (error) {
    throw credentialsStoreError(error, signal);
  }
}
