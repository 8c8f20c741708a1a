import { parseNcrontab } from './ncrontab.ts';

/** When a timer is due; times in milliseconds since the epoch. */
export interface Schedule {
  readonly text: string;
  /** The first occurrence after `from`; undefined when there is none (30 February). */
  next(from: number): number | undefined;
  /** More often than once a minute: Azure keeps no status for such a timer. */
  readonly veryFrequent: boolean;
}

const MINUTE = 60_000;

/** Reads the schedule of a timer trigger: NCRONTAB. @throws when it is not. */
export function parseSchedule(text: string): Schedule {
  const cron = parseNcrontab(text);
  return { text, next: cron.next, veryFrequent: cron.onlySeconds && comesWithinAMinute(cron.next) };
}

function comesWithinAMinute(next: (from: number) => number | undefined): boolean {
  const first = next(Date.now());
  const second = first === undefined ? undefined : next(first);
  return first !== undefined && second !== undefined && second - first < MINUTE;
}
