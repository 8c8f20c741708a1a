import { app } from '@azure/functions';
import { environment, timerSchedule } from '../../shared/platform/environment.ts';
import type { Job, Timer, Timers } from './job.ts';

const timers = new Map<string, Timer>();

/** Every timer of the app by the name of its function, for the watch over timers that stand still. */
export const watchedTimers: Timers = timers;

/** Registers one timer function; the host reports what its job throws. `load` is called at each run. */
export function timer(
  name: string,
  schedule: string | { readonly setting: Parameters<typeof timerSchedule>[0] },
  load: () => Promise<Job>,
): void {
  const given = typeof schedule === 'string' ? schedule : timerSchedule(schedule.setting);
  // The host reads `%SETTING%`; the watch over the timers needs its value too.
  const setting = /^%(.+)%$/.exec(given)?.[1];
  timers.set(name, { schedule: setting === undefined ? given : (environment()[setting] ?? ''), load });
  app.timer(name, {
    schedule: given,
    handler: async (_, context) => {
      const { runTimer } = await import('./job.ts');
      await runTimer(name, context, timers);
    },
  });
}
