import { type EndingSecret, endingSecrets } from '../shared/accounts/ending-secrets.ts';
import { errorText } from '../shared/platform/log.ts';
import { SettingsError } from '../shared/platform/settings.ts';
import { services } from './services.ts';

export interface Health {
  readonly status: 'healthy' | 'unhealthy';
  /** Per part the service cannot do without: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
  /**
   * Secrets of accounts that end within 30 days or have ended: the accounts' trouble, and not the service's. Null where
   * that could not be found out.
   */
  readonly endingSecrets?: readonly EndingSecret[] | null;
}

/** Asks what the service cannot do without, and with `detail` what will soon need a hand. Never throws. */
export async function checkHealth(signal: AbortSignal, options: { readonly detail: boolean }): Promise<Health> {
  const checks: Record<string, string> = {};
  const check = async (name: string, task: () => Promise<unknown>) => {
    try {
      await task();
      checks[name] = 'ok';
    } catch (error) {
      checks[name] = error instanceof SettingsError ? error.message : errorText(error);
    }
  };
  let ending: Promise<readonly EndingSecret[] | null> | undefined;
  await check('settings', services);
  if (checks.settings === 'ok') {
    const { accounts, secrets, inbox } = await services();
    if (options.detail) {
      ending = accounts
        .list({ signal })
        .then((all) => endingSecrets(all, secrets, inbox.clock, { signal }))
        .catch(() => null);
    }
    await Promise.all([
      check('storage', () => accounts.fresh('health', { signal })),
      // No account can have this name: only whether the vault answers counts.
      check('keyVault', () => secrets.expiry('mailroom-health-probe', { signal })),
    ]);
  }
  const healthy = Object.values(checks).every((result) => result === 'ok');
  const status = healthy ? 'healthy' : 'unhealthy';
  return ending ? { status, checks, endingSecrets: await ending } : { status, checks };
}
