import type { StoredAccount } from '../../accounts/account-store.ts';
import type { GraphMailbox, Subscriptions } from '../../adapters/graph/subscriptions.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Rows } from '../../platform/rows.ts';
import type { Shutdown } from '../../platform/shutdown.ts';
import type { ImportGate } from './import-gate.ts';
import type { NotificationKey } from './notification-key.ts';
import type { Refusals } from './refusals.ts';

/** What notifications of Microsoft Graph need; made once per process. */
export interface PushContext {
  readonly clock: Clock;
  /** Table `accounts`. */
  readonly rows: Rows;
  readonly key: NotificationKey;
  /** For what notifications ask for. */
  readonly imports: ImportGate;
  readonly refusals: Refusals;
  /** Where Graph calls the app, without the path; undefined: it cannot. */
  readonly publicUrl: string | undefined;
  /** The account as it is now. */
  readonly account: (name: string, signal: AbortSignal) => Promise<StoredAccount | undefined>;
  readonly accounts: (signal: AbortSignal) => Promise<readonly StoredAccount[]>;
  /** Queues an import of the account, of what came while a subscription was missing. */
  readonly enqueueImport: (account: string) => Promise<void>;
  /** Queues a look after the account's subscriptions. */
  readonly enqueue: (account: string) => Promise<void>;
  /** The subscriptions of the app that an account signs in as. Throws StoreError. */
  readonly open: (account: string, mailbox: GraphMailbox, signal: AbortSignal) => Promise<Subscriptions>;
  readonly shutdown: Shutdown;
}
