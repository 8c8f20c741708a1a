import { toIso } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import type { AccountStore } from './account-store.ts';
import { type AccountHealth, endpointOf } from './health.ts';

/**
 * Logs once more each trouble that has not ended, of accounts that are enabled: an alert looks back two days at most
 * (Microsoft Learn, "Log search alert rules", window size), and trouble may last longer. Throws nothing but what `signal`
 * was aborted with.
 */
export async function logOngoingTrouble(
  accounts: AccountStore,
  health: AccountHealth,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  try {
    const ongoing = await health.ongoing(options);
    if (ongoing.length === 0) return;
    const known = new Map((await accounts.list(options)).map(({ account }) => [account.name, account]));
    for (const { account: name, side, since, code } of ongoing) {
      const account = known.get(name);
      if (account?.enabled && account[endpointOf(side)])
        log.warn('account.failing', { account: name, side, since: toIso(since), code });
    }
  } catch (error) {
    options.signal.throwIfAborted();
    log.error('account.troubleUnknown', { error: errorText(error) });
  }
}
