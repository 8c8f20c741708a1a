/** A Date field is some 30 characters; comments add to that. */
const MAX_LENGTH = 200;

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Zones of RFC 5322 section 4.3 that are known, in minutes; all other letters mean "unknown", which reads as UTC. */
const zones = new Map([
  ['edt', -240],
  ['est', -300],
  ['cdt', -300],
  ['cst', -360],
  ['mdt', -360],
  ['mst', -420],
  ['pdt', -420],
  ['pst', -480],
  ['cet', 60],
  ['cest', 120],
  ['bst', 60],
  ['jst', 540],
]);

const time = String.raw`(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:[.,]\d{1,9})?)?(?:\s*(am|pm)\b)?`;
const zone = String.raw`(?:\s*(?:(?:gmt|utc?)?\s*([+-]\d{1,2}:?\d{2})|([a-z]{1,5})))?`;
/** `Mon, 02 Jan 2006 15:04:05 -0700`, with everything optional that senders leave out. */
const rfc5322 = new RegExp(
  String.raw`^(?:[^\d\s]{1,20}\s+)?(\d{1,2})[\s-]+([a-z]{3})[a-z]{0,6}[.]?[\s-]+(\d{2,4})(?:[\s,]+${time}${zone})?`,
  'i',
);
/** `Mon Jan  2 15:04:05 2006`, as C libraries print it; sometimes with the zone before the year. */
const asctime = new RegExp(
  String.raw`^(?:[a-z]{3,9},?\s+)?([a-z]{3})[a-z]{0,6}\s+(\d{1,2}),?\s+${time}${zone}\s+(\d{4})\b`,
  'i',
);
/** `2006-01-02T15:04:05Z`. */
const iso = new RegExp(
  String.raw`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[t\s]+${time}(?:\s*(?:([+-]\d{2}:?\d{2})|([a-z]{1,5})))?)?`,
  'i',
);

/**
 * A Date field as RFC 3339 in UTC, or undefined where it is none. Reads RFC 5322 with its obsolete forms (section
 * 4.3), ISO 8601 and asctime; the runtime's own parser would take a missing zone for the local one.
 */
export function readDate(field: string): string | undefined {
  const text = field
    .slice(0, MAX_LENGTH)
    .replace(/\([^()]*\)/g, ' ')
    .replace(/\s+/g, ' ')
    .replace(/\s*([,:])/g, '$1')
    .replace(/:\s+/g, ':')
    .trim();
  let match = rfc5322.exec(text);
  if (match) {
    const [, day, month, year, ...rest] = match;
    return compose(year, months.indexOf((month ?? '').toLowerCase()), day, rest);
  }
  match = iso.exec(text);
  if (match) {
    const [, year, month, day, ...rest] = match;
    return compose(year, Number(month) - 1, day, rest);
  }
  match = asctime.exec(text);
  if (match) {
    const [, month, day, ...rest] = match;
    return compose(rest[6], months.indexOf((month ?? '').toLowerCase()), day, rest);
  }
  return undefined;
}

/** `rest`: hour, minute, second, am or pm, numeric zone, named zone. */
function compose(
  yearText: string | undefined,
  month: number,
  dayText: string | undefined,
  rest: readonly (string | undefined)[],
): string | undefined {
  const [hourText, minuteText, secondText, half, offset, zoneName] = rest;
  const year = fullYear(yearText ?? '');
  const day = Number(dayText);
  let hour = Number(hourText ?? 0);
  if (half !== undefined && hour <= 12) hour = (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  const minute = Number(minuteText ?? 0);
  // A leap second counts as the one before it.
  const second = Math.min(Number(secondText ?? 0), 59);
  if (month < 0 || month > 11 || day < 1 || day > 31 || hour > 24 || minute > 59) return undefined;
  const millis = Date.UTC(year, month, day, hour, minute, second) - zoneMinutes(offset, zoneName) * 60_000;
  if (new Date(Date.UTC(year, month, day)).getUTCMonth() !== month) return undefined;
  const date = new Date(millis);
  if (Number.isNaN(millis) || date.getUTCFullYear() < 1000 || date.getUTCFullYear() > 9999) return undefined;
  return date.toISOString();
}

/** RFC 5322 section 4.3: two digits below 50 are of this century, three digits count from 1900. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 2) return year < 50 ? 2000 + year : 1900 + year;
  return text.length === 3 ? 1900 + year : year;
}

function zoneMinutes(offset: string | undefined, name: string | undefined): number {
  if (offset === undefined) return zones.get((name ?? '').toLowerCase()) ?? 0;
  const digits = offset.slice(1).replace(':', '').padStart(4, '0');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  // No zone is further away than 14 hours: what is, is a mistake, and the time itself the better guess.
  if (minutes > 14 * 60) return 0;
  return offset.startsWith('-') ? -minutes : minutes;
}
