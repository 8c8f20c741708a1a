import type { ContainerClient } from '@azure/storage-blob';
import type { TimerFunction } from './function-index.ts';
import type { SingletonOptions } from './host-json.ts';
import type { Invoker } from './invocation.ts';
import { type HostLog, messageOf } from './log.ts';
import { acquireSingleton } from './timer-lease.ts';
import { blobTimerStatus, checkPastDue, statusJson, type TimerStatus } from './timer-status.ts';
import { waitUntil } from './wait-until.ts';

export interface TimerListener {
  /** Stops waiting for the next occurrence, waits for a run under way, gives the lock back. */
  stop(): Promise<void>;
}

export interface TimerOptions {
  readonly invoker: Invoker;
  readonly log: HostLog;
  readonly container: ContainerClient;
  readonly hostId: string;
  readonly singleton: SingletonOptions;
}

/** Storage that is away is asked again after this time. */
const START_RETRY_DELAY = 5_000;

/**
 * Runs a timer function by its schedule (WebJobs SDK, TimerListener): never two runs of it at once; one run, marked past
 * due, for whatever was missed before the start; and one run at once when the last took longer than the interval.
 */
export function startTimer(fn: TimerFunction, options: TimerOptions): TimerListener {
  const { invoker, log, container, hostId } = options;
  const stopping = new AbortController();
  const store = fn.useMonitor ? blobTimerStatus(container, hostId, fn.name) : undefined;

  async function run(status: TimerStatus, pastDue: boolean) {
    const started = Date.now();
    const input = { json: timerInput(store && status, pastDue) };
    const invocation = {
      inputs: [{ name: fn.triggerName, data: input }],
      triggerMetadata: {},
      reason: `Timer fired at ${new Date(started).toISOString()}`,
    };
    // A failure is logged by then, and never stops the schedule.
    await invoker.invoke(fn, invocation).catch(() => undefined);
    // Fired a moment early: the next one is counted from the time it stood for, so that none comes twice.
    const early = !pastDue && status.next !== undefined && status.next > started;
    const last = early && status.next !== undefined ? status.next : started;
    const updated: TimerStatus = { last, next: fn.schedule.next(last), lastUpdated: last };
    await store?.write(updated).catch((error: unknown) => {
      log.write('error', 'Host.Triggers.Timer', `The status of timer '${fn.name}' was not saved: ${messageOf(error)}`);
    });
    return updated;
  }

  async function listen(signal: AbortSignal): Promise<void> {
    const now = Date.now();
    const check = checkPastDue(await store?.read(), fn.schedule, now);
    let { status } = check;
    if (check.changed) await store?.write(status);
    if (check.pastDue) {
      log.write('information', 'Host.Triggers.Timer', `The timer '${fn.name}' missed an occurrence and runs now.`);
      status = await run(status, true);
    }
    while (!signal.aborted) {
      if (status.next === undefined) {
        log.write('warning', 'Host.Triggers.Timer', `The schedule of timer '${fn.name}' has no further occurrence.`);
        await waitUntil(Number.POSITIVE_INFINITY, signal);
        return;
      }
      if (!(await waitUntil(status.next, signal))) return;
      status = await run(status, false);
    }
  }

  async function main(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const lock = await acquireSingleton(fn.name, options, stopping.signal);
        try {
          await listen(AbortSignal.any([stopping.signal, lock.lost]));
        } finally {
          await lock.release();
        }
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.write('error', 'Host.Triggers.Timer', `The timer '${fn.name}' could not start: ${messageOf(error)}`);
        await waitUntil(Date.now() + START_RETRY_DELAY, stopping.signal);
      }
    }
  }

  const done = main();
  return {
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}

/** What the function gets; without a monitor ScheduleStatus is null, whatever the library's types say. */
export function timerInput(status: TimerStatus | undefined, isPastDue: boolean): string {
  return JSON.stringify({
    Schedule: { AdjustForDST: true },
    ScheduleStatus: status ? statusJson(status) : null,
    IsPastDue: isPastDue,
  });
}
