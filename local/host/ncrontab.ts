import { Cron } from 'croner';

/** Finds occurrences of an NCRONTAB expression, in UTC. */
export interface Ncrontab {
  /** The first occurrence after `from` (milliseconds since the epoch); undefined when there is none. */
  next(from: number): number | undefined;
  /** True when only the seconds are set, so that it comes more often than once a minute or just so often. */
  readonly onlySeconds: boolean;
}

const MONTHS = [
  ...['january', 'february', 'march', 'april', 'may', 'june', 'july'],
  ...['august', 'september', 'october', 'november', 'december'],
];
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const SECOND: Field = { name: 'second', min: 0, max: 59 };
const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 6, names: DAYS },
];
/** An expression longer than this lists every value of every field several times over. */
const MAX_LENGTH = 1_000;

/**
 * Reads five fields (minute first) or six (second first). The grammar is NCrontab's own, checked here, since croner
 * knows more (`L`, `W`, `#`, `?`, 7 for Sunday, nicknames) that Azure would refuse: each field is reduced to the list
 * of its values and croner only searches the calendar. Day of month and day of week must both fit, as in NCrontab.
 *
 * @throws saying which field is wrong.
 */
export function parseNcrontab(text: string): Ncrontab {
  if (text.length > MAX_LENGTH) throw new Error('the schedule is too long');
  const parts = text.trim().split(/\s+/);
  if (parts.length !== 5 && parts.length !== 6) throw new Error(`"${text}" has neither five nor six fields`);
  const fields = parts.length === 6 ? [SECOND, ...FIELDS] : FIELDS;
  const lists = fields.map((field, index) => values(field, parts[index] ?? ''));
  const pattern = lists.map((list) => list ?? '*').join(' ');
  const cron = new Cron(parts.length === 6 ? pattern : `0 ${pattern}`, {
    mode: '6-part',
    domAndDow: true,
    timezone: 'UTC',
  });
  return {
    next: (from) => cron.nextRun(new Date(from))?.getTime(),
    onlySeconds: parts.length === 6 && parts.slice(1).every((part) => part === '*'),
  };
}

/** The values of a field as a comma list, or undefined for all of them. */
function values(field: Field, text: string): string | undefined {
  const chosen = new Set<number>();
  for (const item of text.split(',')) {
    const [range = '', step, ...more] = item.split('/');
    const every = step === undefined ? 1 : /^\d+$/.test(step) ? Number(step) : 0;
    if (more.length > 0 || every < 1) throw wrong(field, text);
    const [low, high] = bounds(field, range, step !== undefined, text);
    for (let value = low; value <= high; value += every) chosen.add(value);
  }
  if (chosen.size === field.max - field.min + 1) return undefined;
  return [...chosen].sort((a, b) => a - b).join(',');
}

function bounds(field: Field, range: string, stepped: boolean, text: string): readonly [number, number] {
  if (range === '*') return [field.min, field.max];
  const ends = range.split('-').map((end) => fieldValue(field, end, text));
  const [first, last] = ends;
  if (first === undefined || ends.length > 2) throw wrong(field, text);
  // `5/15` runs from 5 to the field's end; a range given backwards is turned round.
  if (last === undefined) return [first, stepped ? field.max : first];
  return first <= last ? [first, last] : [last, first];
}

function fieldValue(field: Field, text: string, whole: string): number {
  const number = /^\d+$/.test(text)
    ? Number(text)
    : text.length >= 3 && field.names
      ? field.names.findIndex((name) => name.startsWith(text.toLowerCase())) + field.min
      : -1;
  const unknownName = !/^\d+$/.test(text) && number < field.min;
  if (unknownName || number < field.min || number > field.max) throw wrong(field, whole);
  return number;
}

function wrong(field: Field, text: string): Error {
  return new Error(`"${text}" is no ${field.name} of a schedule`);
}
