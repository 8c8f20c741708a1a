import { Cron } from 'croner';

/** Values of one field: numbers or names, ranges, steps and lists of them; no L, W, # or ?, which NCRONTAB lacks. */
const numberField = /^(?:\*|\d{1,2}(?:-\d{1,2})?)(?:\/\d{1,2})?(?:,(?:\*|\d{1,2}(?:-\d{1,2})?)(?:\/\d{1,2})?)*$/;
const monthNames = /\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\b/gi;
const dayNames = /\b(?:sun|mon|tue|wed|thu|fri|sat)\b/gi;

/** Longest schedule worth reading: every minute of an hour listed, and room. */
const maxScheduleLength = 400;

/**
 * The Functions runtime reads day of month AND day of week, both of which must hold, where Unix cron has OR; five
 * fields mean second 0 (Microsoft Learn, "Timer trigger for Azure Functions", NCRONTAB expressions). All in UTC.
 */
function parse(schedule: string): Cron {
  return new Cron(schedule, { mode: '5-or-6-parts', utcOffset: 0, domAndDow: true, sloppyRanges: true });
}

/** What is wrong with an NCRONTAB schedule of five or six fields, or undefined. */
export function scheduleMistake(schedule: string): string | undefined {
  const fields = schedule.trim().split(/\s+/);
  if (schedule.length > maxScheduleLength || (fields.length !== 5 && fields.length !== 6))
    return 'must be an NCRONTAB expression of six fields (second first) or five';
  const readable = fields.every((field, index) => {
    // Counted from the end, five and six fields are alike: ... day, month, day of week.
    const fromEnd = fields.length - 1 - index;
    const names = fromEnd === 1 ? monthNames : fromEnd === 0 ? dayNames : undefined;
    return numberField.test(names === undefined ? field : field.replace(names, '1'));
  });
  if (!readable) return 'is not an NCRONTAB expression: fields hold numbers, names, *, ranges, lists and steps';
  try {
    if (parse(schedule).nextRun(new Date(0)) === null) return 'never comes round';
    return undefined;
  } catch {
    return 'is not an NCRONTAB expression: a value is out of range';
  }
}

/** The first time (ms since the epoch, UTC) strictly after `afterMs` at which the schedule is due; undefined: never again. */
export function nextOccurrence(schedule: string, afterMs: number): number | undefined {
  return parse(schedule).nextRun(new Date(afterMs))?.getTime();
}
