import { z } from 'zod';
import { type ExpiringSecret, expiringSecretSchema, expiringSecrets } from '../../accounts/expiring-secrets.ts';
import { toIso } from '../../platform/clock.ts';
import { errorText } from '../../platform/log.ts';
import { SettingsError } from '../../platform/settings.ts';
import type { TimerState } from '../../platform/timer-watch.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { Services } from '../services.ts';

/** What `GET /health` answers: the status, and with a key what was looked at. */
export const healthSchema = z
  .object({
    status: z.enum(['healthy', 'unhealthy']),
    checks: z
      .record(z.string(), z.string())
      .meta({ description: 'Per part the service cannot do without: `ok`, or what is wrong.' })
      .optional(),
    endingSecrets: z.array(expiringSecretSchema).nullable().optional().meta({
      description:
        "Secrets of accounts that end within 30 days or have ended: the accounts' trouble, and not the service's. Null where that could not be found out.",
    }),
    timers: z.record(z.string(), instantSchema).optional().meta({
      description: 'When each timer last began to run, to within five minutes; of a new one, since when it is watched.',
    }),
  })
  .meta({ id: 'Health' });
export type Health = View<typeof healthSchema>;

class OverdueTimers extends Error {
  constructor(late: readonly TimerState[]) {
    const each = late.map(({ name, lastRun }) => `${name} has not run since ${toIso(lastRun)}`);
    super(`${each.join('; ')}. Restart the app; meanwhile calls and queue messages do their work`);
  }
}

/** How much is looked at, and for how long. */
export interface HealthOptions {
  readonly detail: boolean;
  readonly signal: AbortSignal;
  /** Throws SettingsError where a setting is missing or wrong. */
  readonly services: () => Promise<Services>;
}

/** Checks what the service cannot do without, and with `detail` also what will soon need a person. Never throws. */
export async function checkHealth({ detail, signal, services }: HealthOptions): Promise<Health> {
  const checks: Record<string, string> = {};
  const check = async (name: string, task: () => Promise<unknown>) => {
    try {
      await task();
      checks[name] = 'ok';
    } catch (error) {
      const known = error instanceof SettingsError || error instanceof OverdueTimers;
      checks[name] = known ? error.message : errorText(error);
    }
  };
  let timers: readonly TimerState[] | undefined;
  let ending: Promise<readonly ExpiringSecret[] | null> | undefined;
  await check('settings', services);
  if (checks.settings === 'ok') {
    const ready = await services();
    const { accounts, secrets, inbox } = ready;
    if (detail) {
      ending = accounts
        .list({ signal })
        .then((all) => expiringSecrets(all, secrets, inbox.clock, { signal }))
        .catch(() => null);
    }
    await Promise.all([
      check('storage', () => accounts.fresh('health', { signal })),
      // No account can have this name: only whether the vault answers counts.
      check('timers', async () => {
        timers = await ready.timers.states({ signal });
        const late = timers.filter(({ overdue }) => overdue);
        if (late.length > 0) throw new OverdueTimers(late);
      }),
      check('keyVault', () => secrets.expiry('mailroom-health-probe', { signal })),
    ]);
  }
  const healthy = Object.values(checks).every((result) => result === 'ok');
  const status = healthy ? 'healthy' : 'unhealthy';
  if (!ending) return { status, checks };
  const lastRuns = timers?.map(({ name, lastRun }) => [name, toIso(lastRun)]);
  return {
    status,
    checks,
    endingSecrets: await ending,
    ...(lastRuns ? { timers: Object.fromEntries(lastRuns) } : {}),
  };
}
