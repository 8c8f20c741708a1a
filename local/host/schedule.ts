import { parseNcrontab } from './ncrontab.ts';
import { parseTimeSpan } from './time-span.ts';

/** When a timer is due; times in milliseconds since the epoch. */
export interface Schedule {
  readonly text: string;
  /** The first occurrence after `from`; undefined when there is none (30 February). */
  next(from: number): number | undefined;
  /** More often than once a minute: Azure keeps no status for such a timer. */
  readonly veryFrequent: boolean;
}

const MINUTE = 60_000;

/**
 * Reads the schedule of a timer trigger: NCRONTAB, else a TimeSpan between runs (WebJobs SDK, TimerSchedule.Create).
 *
 * @throws when it is neither.
 */
export function parseSchedule(text: string): Schedule {
  const period = /\s/.test(text.trim()) ? undefined : parseTimeSpan(text);
  if (period !== undefined) {
    if (period <= 0) throw new Error(`the interval "${text}" is not above zero`);
    return { text, next: (from) => from + period, veryFrequent: period < MINUTE };
  }
  const cron = parseNcrontab(text);
  return { text, next: cron.next, veryFrequent: cron.onlySeconds && comesWithinAMinute(cron.next) };
}

function comesWithinAMinute(next: (from: number) => number | undefined): boolean {
  const first = next(Date.now());
  const second = first === undefined ? undefined : next(first);
  return first !== undefined && second !== undefined && second - first < MINUTE;
}
