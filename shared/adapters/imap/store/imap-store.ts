import type { ServerContext } from '../../connections/server-context.ts';
import { storeIdentity } from '../../connections/store-identity.ts';
import type { MailStore } from '../../store.ts';
import type { ImapConnectionConfig } from '../library-options.ts';
import { openConnection } from '../open-connection.ts';
import { verifyImapStore } from '../verify.ts';
import { ImapSession } from './imap-session.ts';

/**
 * Fetches mail by IMAP4rev1 (RFC 3501), with STARTTLS or over TLS. See `storeIdentity` for what names it.
 */
export function createImapStore(config: ImapConnectionConfig, context: ServerContext): MailStore {
  const connect = (signal: AbortSignal) => openConnection(config, context, signal);
  const identity = storeIdentity('imap', config);
  return {
    protocol: config.protocol,
    abilities: { markRead: true, stableBytes: true, lastingIds: true },
    identity,
    open: async ({ signal, cut }) => {
      const connection = await connect(signal);
      if (cut) connection.cutBy(cut);
      return new ImapSession(connection, identity);
    },
    verify: (options) => verifyImapStore(config, connect, { ...options, network: context.network }),
  };
}
