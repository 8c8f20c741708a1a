/**
 * The only reader of `process.env`. Kept free of imports: the functions ask it for their schedules while the app loads.
 */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** When the timers fire unless a setting says otherwise; NCRONTAB with seconds, UTC. */
export const defaultSchedules = {
  IMPORT_SCHEDULE: '0 * * * * *',
  RETENTION_SCHEDULE: '0 0 * * * *',
  SWEEP_SCHEDULE: '0 0 3 * * *',
} as const;

/** A timer's schedule as the host wants it: the setting by name where it is given, else the default itself. */
export function timerSchedule(setting: keyof typeof defaultSchedules): string {
  return environment()[setting] ? `%${setting}%` : defaultSchedules[setting];
}

/**
 * App Service authentication stands in front: then app roles decide who may call, in place of function keys, and the
 * principal header can be trusted.
 */
export function signInInFront(): boolean {
  return environment().WEBSITE_AUTH_ENABLED?.toLowerCase() === 'true';
}

/** Where the app answers, by the platform's own word: the Host header of a request is anybody's. */
export function ownOrigin(): string | undefined {
  const host = environment().WEBSITE_HOSTNAME;
  if (!host) {
    return undefined;
  }
  return /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(host) ? `http://${host}` : `https://${host}`;
}
