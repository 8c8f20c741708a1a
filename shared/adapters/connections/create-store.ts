import type { Located, StoreConfig } from '../../accounts/model.ts';
import type { ConnectionSlots } from '../../limits/connection-slots.ts';
import type { MailStore } from '../store.ts';
import { limitedStore } from './limited-store.ts';
import type { ServerContext } from './server-context.ts';

/** What a store asks of the service. */
export interface StoreContext extends ServerContext {
  /** The account deletes every original right after its check-in. */
  readonly deletesImmediately?: boolean;
  /** The slots for connections that all processes share. */
  readonly slots: ConnectionSlots;
}

/** The store for an account's protocol; its library is loaded only when the first such account is met. */
export async function createStore(config: Located<StoreConfig>, context: StoreContext): Promise<MailStore> {
  return limitedStore(await unlimited(config, context), context.slots);
}

async function unlimited(config: Located<StoreConfig>, context: StoreContext): Promise<MailStore> {
  switch (config.protocol) {
    case 'imap':
    case 'imaps': {
      const { createImapStore } = await import('../imap/store/imap-store.ts');
      return createImapStore(config, context);
    }
    case 'graph': {
      const { createGraphStore } = await import('../graph/store/graph-store.ts');
      return createGraphStore(config, context);
    }
    case 'pop3':
    case 'pop3s': {
      const { createPop3Store } = await import('../pop3/pop3-store.ts');
      return createPop3Store(config, context);
    }
  }
}
