import type { Located, StoreConfig } from '../accounts/model.ts';
import type { CloudOverrides } from './entra/place.ts';
import type { ReadSecret } from './secret-value.ts';
import type { MailStore } from './store.ts';

export interface StoreContext {
  readonly secret: ReadSecret;
  /** Where Graph and Entra ID are, if not where an account's cloud has them. */
  readonly overrides?: CloudOverrides;
}

/** The store for an account's protocol; its library is loaded only when the first such account is met. */
export async function createStore(config: Located<StoreConfig>, context: StoreContext): Promise<MailStore> {
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
