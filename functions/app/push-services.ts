import type { AccountSecrets } from '../../shared/accounts/account-secrets.ts';
import type { AccountStore } from '../../shared/accounts/account-store.ts';
import type { CloudOverrides } from '../../shared/adapters/sign-in/entra/place.ts';
import type { PushContext } from '../../shared/inbox/push/context.ts';
import { ImportGate } from '../../shared/inbox/push/import-gate.ts';
import { NotificationKey } from '../../shared/inbox/push/notification-key.ts';
import { Refusals } from '../../shared/inbox/push/refusals.ts';
import { PushSchedule } from '../../shared/inbox/push/schedule.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { RowTable } from '../../shared/platform/rows.ts';
import type { Settings } from '../../shared/platform/settings.ts';
import type { Shutdown } from '../../shared/platform/shutdown.ts';
import type { SecretStore } from '../../shared/secrets/secret-store.ts';

export interface PushParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly shutdown: Shutdown;
  readonly accounts: AccountStore;
  readonly accountRows: RowTable;
  readonly accountSecrets: AccountSecrets;
  readonly secrets: SecretStore;
  readonly overrides: CloudOverrides;
  /** Puts an entry on queue `mail-import`. */
  readonly enqueue: (entry: unknown, delayMs: number) => Promise<void>;
}

/** Notifications of Microsoft Graph, and the subscriptions that bring them. */
export function pushServices(parts: PushParts): { readonly push: PushContext; readonly pushSchedule: PushSchedule } {
  const { settings, clock, shutdown, accounts, accountRows: rows, accountSecrets, secrets, overrides, enqueue } = parts;
  const push: PushContext = {
    clock,
    shutdown,
    rows,
    key: new NotificationKey(secrets, clock),
    imports: new ImportGate({ clock, rows, enqueue: (account, delayMs) => enqueue({ account }, delayMs) }),
    refusals: new Refusals(clock),
    publicUrl: settings.publicUrl,
    account: (name, signal) => accounts.fresh(name, { signal }),
    accounts: (signal) => accounts.list({ signal }),
    enqueueImport: (account) => enqueue({ account }, 0),
    enqueue: (account) => enqueue({ account, subscriptions: true }, 0),
    open: async (account, mailbox, signal) => {
      // The library of Graph is loaded where the first account needs it.
      const { openSubscriptions } = await import('../../shared/adapters/graph/subscriptions.ts');
      const secret = accountSecrets.reader(account, { ...mailbox, folders: [], push: true });
      return await openSubscriptions(mailbox, { secret, overrides }, signal);
    },
  };
  return { push, pushSchedule: new PushSchedule(push) };
}
