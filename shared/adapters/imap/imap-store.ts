import type { ServerContext } from '../server-context.ts';
import type { MailStore } from '../store.ts';
import { ImapSession } from './imap-session.ts';
import type { ImapConnectionConfig } from './library-options.ts';
import { openConnection } from './open-connection.ts';
import { verifyImapStore } from './verify.ts';

/** IANA's ports for imap and imaps. */
const standardPorts = [143, 993];

/**
 * Fetches mail by IMAP4rev1 (RFC 3501), with STARTTLS or over TLS. The identity is `imap://{user}@{host}`, so that a
 * mailbox stays the same one when an account changes from imap to imaps. A port of its own is part of it: two servers
 * on one host may have made their folders in the same second, and so with the same UIDVALIDITY.
 */
export function createImapStore(config: ImapConnectionConfig, context: ServerContext): MailStore {
  const { auth } = config;
  const port = config.port === undefined || standardPorts.includes(config.port) ? '' : `:${config.port}`;
  const host = `${config.host.toLowerCase()}${port}`;
  const connect = (signal: AbortSignal) => openConnection(config, context, signal);
  const identity = auth.type === 'none' ? `imap://${host}` : `imap://${auth.user}@${host}`;
  return {
    protocol: config.protocol,
    abilities: { markRead: true, move: true, stableBytes: true, lastingIds: true },
    identity,
    open: async ({ signal, cut }) => {
      const connection = await connect(signal);
      if (cut) connection.cutBy(cut);
      return new ImapSession(connection, identity);
    },
    verify: (options) => verifyImapStore(config, connect, options),
  };
}
