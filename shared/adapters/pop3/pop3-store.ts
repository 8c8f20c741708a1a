import type { ServerContext } from '../server-context.ts';
import type { MailStore } from '../store.ts';
import { Maildrop } from './maildrop.ts';
import { Maildrops } from './maildrops.ts';
import { openConnection, type Pop3Config } from './open-connection.ts';
import { Pop3Session } from './pop3-session.ts';
import { verifyPop3Store } from './verify.ts';

/** What the store asks of the service. */
export interface StoreContext extends ServerContext {
  /** Every original is deleted right after its check-in: then a server without UIDL will do (design section 5). */
  readonly deletesAtOnce?: boolean;
}

/** IANA's ports for pop3 and pop3s. */
const standardPorts = [110, 995];

/**
 * Fetches mail by POP3 (RFC 1939), with STLS or over TLS. The identity is `pop3://{user}@{host}`, so that a mailbox stays
 * the same one when an account changes from pop3 to pop3s; a port of its own is part of it, as with IMAP.
 */
export function createPop3Store(config: Pop3Config, context: StoreContext): MailStore {
  const { auth } = config;
  const { deletesAtOnce = false } = context;
  const port = config.port === undefined || standardPorts.includes(config.port) ? '' : `:${config.port}`;
  const host = `${config.host.toLowerCase()}${port}`;
  const identity = auth.type === 'none' ? `pop3://${host}` : `pop3://${auth.user}@${host}`;
  const signIn = async (signal: AbortSignal) => {
    const connection = await openConnection(config, context, signal);
    try {
      return await Maildrop.enter(connection, { mayLackIds: deletesAtOnce }, signal);
    } catch (error) {
      connection.wire.destroy();
      throw error;
    }
  };
  return {
    protocol: config.protocol,
    abilities: { markRead: false, move: false, stableBytes: true, lastingIds: false },
    identity,
    open: async ({ signal, cut }) => {
      // Deletes are committed by leaving, so a session signs in several times; each time the place may be lost.
      const enter = async (limited: AbortSignal) => {
        const maildrop = await signIn(cut ? AbortSignal.any([limited, cut]) : limited);
        const end = () => maildrop.connection.wire.destroy();
        cut?.addEventListener('abort', end, { once: true });
        if (cut?.aborted) end();
        return maildrop;
      };
      return new Pop3Session(new Maildrops(enter, await enter(signal)), identity);
    },
    verify: ({ signal, changes }) =>
      verifyPop3Store(config, (limited) => openConnection(config, context, limited), {
        signal,
        deletesAtOnce,
        changes,
      }),
  };
}
