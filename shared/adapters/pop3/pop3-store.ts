import type { ServerContext } from '../connections/server-context.ts';
import { storeIdentity } from '../connections/store-identity.ts';
import type { MailStore } from '../store.ts';
import { Maildrop } from './maildrop.ts';
import { openConnection, type Pop3Config } from './open-connection.ts';
import { Pop3Session } from './pop3-session.ts';
import { Pop3Sessions } from './pop3-sessions.ts';
import { verifyPop3Store } from './verify.ts';

/** What the store asks of the service. */
export interface StoreContext extends ServerContext {
  /** Every original is deleted right after its check-in: then a server without UIDL will do (design section 5). */
  readonly deletesImmediately?: boolean;
}

/**
 * Fetches mail by POP3 (RFC 1939), with STLS or over TLS. See `storeIdentity` for what names it.
 */
export function createPop3Store(config: Pop3Config, context: StoreContext): MailStore {
  const { deletesImmediately = false } = context;
  const identity = storeIdentity('pop3', config);
  const signIn = async (signal: AbortSignal) => {
    const connection = await openConnection(config, context, signal);
    try {
      return await Maildrop.enter(connection, { mayLackIds: deletesImmediately }, signal);
    } catch (error) {
      connection.socket.destroy();
      throw error;
    }
  };
  return {
    protocol: config.protocol,
    abilities: { markRead: false, stableBytes: true, lastingIds: false },
    identity,
    open: async ({ signal, cut }) => {
      // Deletes are committed by leaving, so a session signs in several times; each time the slot may be lost.
      const enter = async (limited: AbortSignal) => {
        const maildrop = await signIn(cut ? AbortSignal.any([limited, cut]) : limited);
        const end = () => maildrop.connection.socket.destroy();
        cut?.addEventListener('abort', end, { once: true });
        if (cut?.aborted) end();
        return maildrop;
      };
      return new Pop3Session(new Pop3Sessions(enter, await enter(signal)), identity);
    },
    verify: ({ signal, changes }) =>
      verifyPop3Store(config, (limited) => openConnection(config, context, limited), {
        signal,
        network: context.network,
        deletesImmediately,
        changes,
      }),
  };
}
