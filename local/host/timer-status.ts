import { text } from 'node:stream/consumers';
import type { ContainerClient } from '@azure/storage-blob';
import { z } from 'zod';
import type { Schedule } from './schedule.ts';
import { statusOf } from './storage-errors.ts';

/** When a timer last ran and is due next; milliseconds since the epoch, `last` undefined before the first run. */
export interface TimerStatus {
  readonly last: number | undefined;
  readonly next: number | undefined;
  readonly lastUpdated: number;
}

export interface TimerStatusStore {
  read(): Promise<TimerStatus | undefined>;
  write(status: TimerStatus): Promise<void>;
}

/** .NET's DateTime.MinValue and MaxValue: "never yet" and "never". */
const MIN_DATE = '0001-01-01T00:00:00';
const MAX_DATE = '9999-12-31T23:59:59.9999999';
/** The blob holds three dates. */
const MAX_STATUS_BYTES = 4_096;

const dateSchema = z.string().transform((date) => {
  const time = Date.parse(date);
  return date.startsWith('0001-') || date.startsWith('9999-') || Number.isNaN(time) ? undefined : time;
});
const statusSchema = z.looseObject({ Last: dateSchema, Next: dateSchema, LastUpdated: dateSchema });

/** The status as Azure writes it, in a blob and to the function. */
export function statusJson(status: TimerStatus) {
  return {
    Last: status.last === undefined ? `${MIN_DATE}+00:00` : dateText(status.last),
    Next: status.next === undefined ? `${MAX_DATE}+00:00` : dateText(status.next),
    LastUpdated: dateText(status.lastUpdated),
  };
}

function dateText(time: number): string {
  return new Date(time).toISOString().replace(/(\.000)?Z$/, '+00:00');
}

/** Keeps a timer's status in `timers/{hostId}/Host.Functions.{name}/status`. */
export function blobTimerStatus(container: ContainerClient, hostId: string, name: string): TimerStatusStore {
  const blob = container.getBlockBlobClient(`timers/${hostId}/Host.Functions.${name}/status`);
  return {
    read: async () => {
      try {
        const { readableStreamBody } = await blob.download(0, MAX_STATUS_BYTES);
        const content = readableStreamBody ? await text(readableStreamBody) : '';
        const { Last, Next, LastUpdated } = statusSchema.parse(JSON.parse(content));
        return { last: Last, next: Next, lastUpdated: LastUpdated ?? Last ?? 0 };
      } catch (error) {
        // Absent, or not what it should be: as if it had never been written.
        if (statusOf(error) === 404 || error instanceof z.ZodError || error instanceof SyntaxError) return undefined;
        throw error;
      }
    },
    write: async (status) => {
      const content = JSON.stringify(statusJson(status));
      await blob.upload(content, Buffer.byteLength(content), {
        blobHTTPHeaders: { blobContentType: 'application/json' },
      });
    },
  };
}

/**
 * What a timer does when its listener starts: the status to go on with (`changed` when it must be written) and whether
 * an occurrence was missed meanwhile. A schedule that changed never counts as missed (WebJobs SDK, ScheduleMonitor).
 */
export function checkPastDue(
  status: TimerStatus | undefined,
  schedule: Schedule,
  now: number,
): { readonly status: TimerStatus; readonly changed: boolean; readonly pastDue: boolean } {
  if (!status) {
    return { status: { last: undefined, next: schedule.next(now), lastUpdated: now }, changed: true, pastDue: false };
  }
  const countedFrom = status.last ?? status.lastUpdated;
  const expected = schedule.next(countedFrom);
  if (expected === status.next) {
    return { status, changed: false, pastDue: status.next !== undefined && now > status.next };
  }
  const missed = expected !== undefined && now > expected;
  const [next, lastUpdated] = missed ? [schedule.next(now), now] : [expected, countedFrom];
  return { status: { last: undefined, next, lastUpdated }, changed: true, pastDue: false };
}
