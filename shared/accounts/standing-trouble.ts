import { toIso } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import type { AccountStore } from './account-store.ts';
import type { AccountHealth } from './health.ts';

/**
 * Tells the log again of each trouble that stands, of accounts that are to work: an alert looks back two days at most
 * (Microsoft Learn, "Log search alert rules", window size), and trouble may last longer. Never throws but for the signal.
 */
export async function tellStandingTrouble(
  accounts: AccountStore,
  health: AccountHealth,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  try {
    const standing = await health.standing(options);
    if (standing.length === 0) return;
    const works = new Map((await accounts.list(options)).map(({ account }) => [account.name, account]));
    for (const { account, side, since, code } of standing) {
      const known = works.get(account);
      if (known?.enabled && known[side]) log.warn('account.failing', { account, side, since: toIso(since), code });
    }
  } catch (error) {
    options.signal.throwIfAborted();
    log.error('account.troubleUnknown', { error: errorText(error) });
  }
}
