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
 * principal header can be trusted, since the platform takes that of callers away.
 */
export function signInInFront(): boolean {
  return saysSignIn(environment()) && !signInSetByHand();
}

/**
 * `WEBSITE_AUTH_ENABLED` without the platform's sign-in: set as an app setting, which the platform shows a second time
 * with a prefix, or where there is no platform. An app that trusted it would accept any principal that a caller claims.
 */
export function signInSetByHand(given: Readonly<Record<string, string | undefined>> = environment()): boolean {
  const onPlatform = (given.WEBSITE_INSTANCE_ID ?? given.CONTAINER_NAME ?? '') !== '';
  return saysSignIn(given) && (!onPlatform || given.APPSETTING_WEBSITE_AUTH_ENABLED !== undefined);
}

function saysSignIn(given: Readonly<Record<string, string | undefined>>): boolean {
  return given.WEBSITE_AUTH_ENABLED?.toLowerCase() === 'true';
}

/** Where the app answers, as the platform says: the Host header of a request can be forged. */
export function ownOrigin(given: Readonly<Record<string, string | undefined>> = environment()): string | undefined {
  const host = given.WEBSITE_HOSTNAME;
  if (!host) {
    return undefined;
  }
  return /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(host) ? `http://${host}` : `https://${host}`;
}
