import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { AccountStore, StoredAccount } from './account-store.ts';
import { secretsOf } from './rules.ts';

/** How long ahead the end of a secret is told: time enough for whoever has to ask somebody for a new one. */
const noticeMs = 30 * 86_400_000;

export interface EndingSecret {
  readonly account: string;
  readonly secret: string;
  readonly expiresAt: string;
  /** Whole days left; below zero: the secret ended so long ago. */
  readonly days: number;
}

interface Options {
  readonly signal: AbortSignal;
}

/** What can be said of a secret that ends then; null: it has no end. */
export function endState(expiresAt: Date | null, now: number): 'ok' | 'ending' | 'ended' {
  const left = (expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) - now;
  return left <= 0 ? 'ended' : left <= noticeMs ? 'ending' : 'ok';
}

/** Secrets that accounts name and that end within 30 days or have ended; the first to end first. */
export async function endingSecrets(
  accounts: readonly StoredAccount[],
  secrets: SecretStore,
  clock: Clock,
  options: Options,
): Promise<readonly EndingSecret[]> {
  const now = clock.now();
  const owners = new Map<string, string>();
  for (const { account } of accounts) {
    // Key Vault compares names without regard to letter case.
    for (const { name } of secretsOf(account)) owners.set(name.toLowerCase(), account.name);
  }
  const ending: EndingSecret[] = [];
  // None is named: Key Vault need not be asked.
  if (owners.size === 0) return ending;
  for await (const { name, expiresAt } of secrets.ends(options)) {
    const account = owners.get(name.toLowerCase());
    if (account === undefined || endState(expiresAt, now) === 'ok') continue;
    const days = Math.floor((expiresAt.getTime() - now) / 86_400_000);
    ending.push({ account, secret: name, expiresAt: expiresAt.toISOString(), days });
  }
  return ending.sort((a, b) => a.days - b.days);
}

/** One line of the log for each such secret: what the alert looks for. Never throws but for the signal. */
export async function tellEndingSecrets(
  accounts: AccountStore,
  secrets: SecretStore,
  clock: Clock,
  options: Options,
): Promise<void> {
  try {
    for (const { account, secret, days } of await endingSecrets(
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
