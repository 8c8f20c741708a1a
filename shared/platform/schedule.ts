import { Cron } from 'croner';

/** Values of one field: numbers, ranges, steps and lists of them; no L, W, # or ?, which NCRONTAB lacks. */
const numberField = /^(?:\*|\d{1,2}(?:-\d{1,2})?)(?:\/\d{1,2})?(?:,(?:\*|\d{1,2}(?:-\d{1,2})?)(?:\/\d{1,2})?)*$/;
const months = 'january february march april may june july august september october november december'.split(' ');
const days = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');

/** Longest schedule worth reading: every minute of an hour listed, and room. */
const maxScheduleLength = 400;

/** A field whose names, whole or of three letters, are numbers; the first name is `first`. */
function inNumbers(field: string, names: readonly string[], first: number): string {
  return field.replace(/[a-z]+/gi, (word) => {
    const at = names.findIndex((name) => name === word.toLowerCase() || name.slice(0, 3) === word.toLowerCase());
    return at < 0 ? word : String(at + first);
  });
}

/** The fields of a schedule, second first where there are six, with numbers for names. */
function fieldsOf(schedule: string): readonly string[] {
  const fields = schedule.trim().split(/\s+/);
  // Counted from the end, five and six fields are alike: ... day, month, day of week.
  const [month, dayOfWeek] = [fields.length - 2, fields.length - 1];
  return fields.map((field, index) =>
    index === month ? inNumbers(field, months, 1) : index === dayOfWeek ? inNumbers(field, days, 0) : field,
  );
}

/**
 * The Functions runtime reads day of month AND day of week, both of which must hold, where Unix cron has OR; five
 * fields mean second 0 (Microsoft Learn, "Timer trigger for Azure Functions", NCRONTAB expressions). All in UTC.
 */
function parse(fields: readonly string[]): Cron {
  return new Cron(fields.join(' '), { mode: '5-or-6-parts', utcOffset: 0, domAndDow: true, sloppyRanges: true });
}

/** What is wrong with an NCRONTAB schedule of five or six fields, or undefined. */
export function scheduleMistake(schedule: string): string | undefined {
  const fields = schedule.length > maxScheduleLength ? [] : fieldsOf(schedule);
  if (fields.length !== 5 && fields.length !== 6)
    return 'must be an NCRONTAB expression of six fields (second first) or five';
  if (!fields.every((field) => numberField.test(field)))
    return 'is not an NCRONTAB expression: fields hold numbers, names, *, ranges, lists and steps';
  const outOfRange = 'is not an NCRONTAB expression: a value is out of range';
  // Days of the week are 0 to 6; croner would also take 7 for Sunday.
  if (fields.at(-1)?.includes('7')) return outOfRange;
  try {
    return parse(fields).nextRun(new Date(0)) === null ? 'never comes round' : undefined;
  } catch {
    return outOfRange;
  }
}

/** The first time (ms since the epoch, UTC) strictly after `afterMs` at which the schedule is due; undefined: never again. */
export function nextOccurrence(schedule: string, afterMs: number): number | undefined {
  return parse(fieldsOf(schedule)).nextRun(new Date(afterMs))?.getTime();
}
