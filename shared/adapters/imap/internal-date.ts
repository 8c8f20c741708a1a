const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const pattern = /^\s?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/;

/** INTERNALDATE (RFC 3501 section 9, date-time) in milliseconds since the epoch; undefined for another text. */
export function parseInternalDate(text: string): number | undefined {
  const parts = pattern.exec(text);
  if (!parts) return undefined;
  const [, day, monthName, year, hour, minute, second, sign, zoneHours, zoneMinutes] = parts;
  const month = months.indexOf((monthName ?? '').toLowerCase());
  if (month < 0) return undefined;
  const local = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second));
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000;
  const time = sign === '-' ? local + zone : local - zone;
  return Number.isFinite(time) ? time : undefined;
}

/** An instant in ms since the epoch as INTERNALDATE in UTC, to the second. */
export function formatInternalDate(instant: number): string {
  const [, year, month, day, time] = /^(\d{4})-(\d{2})-(\d{2})T([\d:]{8})/.exec(new Date(instant).toISOString()) ?? [];
  const name = months[Number(month) - 1] ?? '';
  return `${day}-${name.slice(0, 1).toUpperCase()}${name.slice(1)}-${year} ${time} +0000`;
}
