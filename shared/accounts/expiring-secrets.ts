import { z } from 'zod';
import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { AccountStore, StoredAccount } from './account-store.ts';
import { secretsOf } from './destinations.ts';

/** How long before a secret expires it is reported: enough time to ask somebody for a new one. */
const noticeMs = 30 * 86_400_000;

/** A secret that an account names and that expires soon, or has. */
export const expiringSecretSchema = z.object({
  account: z.string(),
  secret: z.string(),
  expiresAt: instantSchema,
  days: z.int().meta({ description: 'Whole days left; negative: it expired so long ago.' }),
});
export type ExpiringSecret = View<typeof expiringSecretSchema>;

interface Options {
  readonly signal: AbortSignal;
}

/** Whether a secret is still good at `now` (ms), and for 30 days more. `expiresAt` null: it never expires. */
export function expiryState(expiresAt: Date | null, now: number): 'ok' | 'ending' | 'ended' {
  const left = (expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) - now;
  return left <= 0 ? 'ended' : left <= noticeMs ? 'ending' : 'ok';
}

/** Secrets that accounts name and that expire within 30 days or have expired; the first to expire comes first. */
export async function expiringSecrets(
  accounts: readonly StoredAccount[],
  secrets: SecretStore,
  clock: Clock,
  options: Options,
): Promise<readonly ExpiringSecret[]> {
  const now = clock.now();
  const owners = new Map<string, string>();
  for (const { account } of accounts) {
    // Key Vault compares names without regard to letter case.
    for (const { name } of secretsOf(account)) owners.set(name.toLowerCase(), account.name);
  }
  const expiring: ExpiringSecret[] = [];
  // None is named: Key Vault need not be asked.
  if (owners.size === 0) return expiring;
  for await (const { name, expiresAt } of secrets.withExpiry(options)) {
    const account = owners.get(name.toLowerCase());
    if (account === undefined || expiryState(expiresAt, now) === 'ok') continue;
    const days = Math.floor((expiresAt.getTime() - now) / 86_400_000);
    expiring.push({ account, secret: name, expiresAt: expiresAt.toISOString(), days });
  }
  return expiring.sort((a, b) => a.days - b.days);
}

/** Logs a line for each such secret, which the alert looks for. Throws nothing but what `signal` was aborted with. */
export async function logExpiringSecrets(
  accounts: AccountStore,
  secrets: SecretStore,
  clock: Clock,
  options: Options,
): Promise<void> {
  try {
    for (const { account, secret, days } of await expiringSecrets(
      await accounts.list(options),
      secrets,
      clock,
      options,
    )) {
      log.warn('secrets.expiring', { account, secret, days });
    }
  } catch (error) {
    options.signal.throwIfAborted();
    log.error('secrets.expiringUnknown', { error: errorText(error) });
  }
}
