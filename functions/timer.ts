import { app, type InvocationContext } from '@azure/functions';
import { timerSchedule } from '../shared/platform/environment.ts';
import type { Services } from './services.ts';

/** A timer's work ends before the function time-out (host.json: 10 minutes), so that it ends in good order. */
const timerMs = 570_000;

/** Registers one timer function; what its work throws is the host's to report. */
export function timer(
  name: string,
  schedule: string | { readonly setting: Parameters<typeof timerSchedule>[0] },
  work: (services: Services, signal: AbortSignal) => Promise<void>,
): void {
  app.timer(name, {
    schedule: typeof schedule === 'string' ? schedule : timerSchedule(schedule.setting),
    handler: (_, context) => run(context, (services) => work(services, AbortSignal.timeout(timerMs))),
  });
}

/** Runs `work` with the services, its log lines going to the invocation's log. */
export async function run(context: InvocationContext, work: (services: Services) => Promise<void>): Promise<void> {
  const { inInvocation } = await import('./invocation-log.ts');
  await inInvocation(context, async () => {
    const { services } = await import('./services.ts');
    await work(await services());
  });
}
