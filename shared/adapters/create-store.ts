import type { Located, StoreConfig } from '../accounts/model.ts';
import type { ConnectionSlots } from './connection-slots.ts';
import type { GraphOverrides } from './graph/cloud.ts';
import { limitedStore } from './limited-store.ts';
import type { MailStore } from './store.ts';

export interface StoreContext {
  /** Reads a Key Vault secret by name; throws where it is missing. */
  secret(name: string, signal: AbortSignal): Promise<string>;
  /** Where Graph and its sign-in are, if not where an account's cloud has them. */
  readonly graph?: GraphOverrides;
  /** The places for connections that all processes share. */
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
      const { createImapStore } = await import('./imap/imap-store.ts');
      return createImapStore(config, context);
    }
    case 'graph': {
      const { createGraphStore } = await import('./graph/graph-store.ts');
      return createGraphStore(config, context);
    }
    case 'pop3':
    case 'pop3s':
      throw new Error(`${config.protocol} is not there yet`);
  }
}
