import type { InvocationContext } from '@azure/functions';
import type { Services } from '../../shared/http/services.ts';
import { runIsolated } from '../../shared/platform/isolated-jobs.ts';
import { errorText, log } from '../../shared/platform/log.ts';
import { inInvocation } from './invocation-log.ts';
import { services } from './services.ts';

/** What a function does that answers nobody. Throws what the host is to report. */
export type Job = (services: Services, signal: AbortSignal) => Promise<unknown>;

/** A timer of the app: its schedule (NCRONTAB; empty where the setting it names is) and what it does. */
export interface Timer {
  readonly schedule: string;
  readonly load: () => Promise<Job>;
}

/** Timers by the names of their functions. */
export type Timers = ReadonlyMap<string, Timer>;

/** A timer's job ends before the function time-out (host.json: 10 minutes), so that it ends in good order. In ms. */
const timerMs = 570_000;

/** Runs a timer's job, and notes that the timer runs. */
export async function runTimer(name: string, context: InvocationContext, timers: Timers): Promise<void> {
  await runJob(context, timers, async (ready) => {
    await ready.timers.ran(name);
    const job = await timers.get(name)?.load();
    await job?.(ready, AbortSignal.timeout(timerMs));
  });
}

/** Runs `task` with the services, its log lines going to the invocation's log; then the jobs of timers that stand still. */
export async function runJob(
  context: InvocationContext,
  timers: Timers,
  task: (services: Services) => Promise<void>,
): Promise<void> {
  await inInvocation(context, async () => {
    const ready = await services(timers);
    try {
      await task(ready);
    } finally {
      await runOverdue(ready, timers);
    }
  });
}

/** Runs the jobs of timers that the host has not fired for long; asked often, it looks once a minute. Never throws. */
export async function runOverdue(services: Services, timers: Timers): Promise<void> {
  try {
    const signal = AbortSignal.timeout(timerMs);
    const names = await services.timers.takeOverdue({ signal });
    const jobs = names.map((name) => [name, async () => await (await timers.get(name)?.load())?.(services, signal)]);
    await runIsolated(Object.fromEntries(jobs));
  } catch (error) {
    log.error('timer.overdueFailed', { error: errorText(error) });
  }
}
