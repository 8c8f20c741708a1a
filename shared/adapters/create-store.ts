import type { StoreConfig } from '../accounts/model.ts';
import type { MailStore } from './store.ts';

export interface StoreContext {
  /** Reads a Key Vault secret by name; throws where it is missing. */
  secret(name: string, signal: AbortSignal): Promise<string>;
}

/** The store for an account's protocol; its library is loaded only when the first such account is met. */
export async function createStore(
  config: StoreConfig & { readonly port: number },
  context: StoreContext,
): Promise<MailStore> {
  switch (config.protocol) {
    case 'imap':
    case 'imaps': {
      const { createImapStore } = await import('./imap/imap-store.ts');
      return createImapStore(config, context);
    }
  }
}
