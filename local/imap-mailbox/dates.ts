const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** INTERNALDATE, in UTC: `"23-Nov-2026 10:00:00 +0000"`. */
export function formatDateTime(milliseconds: number): string {
  const iso = new Date(milliseconds).toISOString();
  const month = months[Number(iso.slice(5, 7)) - 1];
  return `"${iso.slice(8, 10)}-${month}-${iso.slice(0, 4)} ${iso.slice(11, 19)} +0000"`;
}

/** A date-time of APPEND or a date of SEARCH, as milliseconds since the epoch; undefined when it is neither. */
export function parseDate(text: string): number | undefined {
  const match = /^ ?(\d{1,2})-(\w{3})-(\d{4})(?: (\d\d:\d\d:\d\d) ([+-]\d{4}))?$/.exec(text);
  const month = months.findIndex((name) => name.toLowerCase() === match?.[2]?.toLowerCase()) + 1;
  if (!match || month === 0) return undefined;
  const [, day = '', , year, time = '00:00:00', zone = '+0000'] = match;
  const date = `${year}-${String(month).padStart(2, '0')}-${day.padStart(2, '0')}`;
  const parsed = Date.parse(`${date}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`);
  return Number.isNaN(parsed) ? undefined : parsed;
}
