import { errorText } from '../shared/platform/log.ts';
import { SettingsError } from '../shared/platform/settings.ts';
import { services } from './services.ts';

export interface Health {
  readonly status: 'healthy' | 'unhealthy';
  /** Per part the service cannot do without: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

/** Asks what the service cannot do without. Never throws. */
export async function checkHealth(signal: AbortSignal): Promise<Health> {
  const checks: Record<string, string> = {};
  const check = async (name: string, task: () => Promise<unknown>) => {
    try {
      await task();
      checks[name] = 'ok';
    } catch (error) {
      checks[name] = error instanceof SettingsError ? error.message : errorText(error);
    }
  };
  await check('settings', services);
  if (checks.settings === 'ok') {
    const { accounts, secrets } = await services();
    await Promise.all([
      check('storage', () => accounts.fresh('health', { signal })),
      // No account can have this name: only whether the vault answers counts.
      check('keyVault', () => secrets.expiry('mailroom-health-probe', { signal })),
    ]);
  }
  const healthy = Object.values(checks).every((result) => result === 'ok');
  return { status: healthy ? 'healthy' : 'unhealthy', checks };
}
