import { CredentialsError } from './credentials-error.ts';
import { StoreError, type StoreErrorKind } from './store.ts';

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
  if (signal.aborted) return new StoreError('connection', 'stopped by the caller', { code: 'ABORT_ERR' });
  const name = error instanceof Error ? error.name : 'unknown';
  return new StoreError('protocol', `the adapter failed (${name})`, { code: 'INTERNAL', cause: error });
}
