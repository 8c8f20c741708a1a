import type { ServerContext } from '../connections/server-context.ts';
import { withStoreCredentials } from '../sign-in/credentials-store-error.ts';
import { ImapConnection } from './connection.ts';
import type { ImapConnectionConfig } from './library-options.ts';

/** A signed-in connection of the account. A kept token that is refused is renewed once. Throws StoreError. */
export function openConnection(
  config: ImapConnectionConfig,
  context: ServerContext,
  signal: AbortSignal,
): Promise<ImapConnection> {
  return withStoreCredentials(config, context, signal, (credentials) =>
    ImapConnection.open(config, credentials, signal, context),
  );
}
