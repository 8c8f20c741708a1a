const DAY = 86_400_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;

/**
 * Reads a .NET TimeSpan: `d`, `hh:mm`, `hh:mm:ss[.fffffff]` or `d.hh:mm[:ss]`, optionally negative.
 * As .NET does, `24:00:00` is read as 24 days, since 24 is no hour of a day.
 *
 * @returns milliseconds, or undefined when it is none.
 */
export function parseTimeSpan(text: string): number | undefined {
  const match = /^\s*(-)?(?:(\d{1,8})\.)?(\d{1,8})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?)?\s*$/.exec(text);
  if (!match) return undefined;
  const [, minus, days, first, second, third, fraction] = match;
  const number = (part: string | undefined) => Number(part ?? 0);
  let result: number;
  if (second === undefined) {
    if (days !== undefined) return undefined;
    result = number(first) * DAY;
  } else if (days === undefined && number(first) > 23) {
    if (third === undefined || fraction !== undefined || number(second) > 23 || number(third) > 59) return undefined;
    result = number(first) * DAY + number(second) * HOUR + number(third) * MINUTE;
  } else {
    if (number(first) > 23 || number(second) > 59 || number(third) > 59) return undefined;
    const milliseconds = fraction === undefined ? 0 : Math.round(Number(`0.${fraction}`) * 1_000);
    result = number(days) * DAY + number(first) * HOUR + number(second) * MINUTE + number(third) * 1_000 + milliseconds;
  }
  return minus ? -result : result;
}
