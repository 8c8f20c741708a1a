import { type CredentialsContext, withCredentials } from '../credentials.ts';
import { credentialsStoreError } from '../credentials-store-error.ts';
import { StoreError } from '../store.ts';
import { ImapConnection } from './connection.ts';
import type { ImapConnectionConfig } from './library-options.ts';

/** A signed-in connection of the account. A kept token that is refused is renewed once. Throws StoreError. */
export async function openConnection(
  config: ImapConnectionConfig,
  context: CredentialsContext,
  signal: AbortSignal,
): Promise<ImapConnection> {
  try {
    return await withCredentials(
      config,
      context,
      signal,
      (credentials) => ImapConnection.open(config, credentials, signal),
      (error) => error instanceof StoreError && error.kind === 'signIn',
    );
  } catch (error) {
    throw credentialsStoreError(error, signal);
  }
}
