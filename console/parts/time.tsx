const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

/** Up to each of these, in seconds, a time is told in the unit before. */
const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number, number])[] = [
  ['second', 1, 60],
  ['minute', 60, 3600],
  ['hour', 3600, 86_400],
  ['day', 86_400, 7 * 86_400],
];

/** `2026-03-02 08:00:02 UTC` */
export function utcText(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
}

/** How long ago, or in how long; undefined: more than a week. */
function ago(at: Date, now = Date.now()): string | undefined {
  const seconds = (at.getTime() - now) / 1000;
  const unit = units.find(([, , until]) => Math.abs(seconds) < until);
  return unit && relative.format(Math.trunc(seconds / unit[1]), unit[0]);
}

export interface TimeProps {
  /** RFC 3339 in UTC. */
  readonly at: string;
  /** Also how long ago it was. */
  readonly distance?: boolean;
}

/** A time in the reader's own zone, with UTC where one points at it. */
export function Time({ at, distance }: TimeProps) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>{at}</>;
  const away = distance ? ago(date) : undefined;
  return (
    <time dateTime={at} title={utcText(date.toISOString())}>
      {away ?? local.format(date)}
    </time>
  );
}
