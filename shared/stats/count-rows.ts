import { z } from 'zod';
import { instantOf, newestFirstId } from '../platform/ids.ts';
import { type Column, prefixEnd, type Row, type RowWrite } from '../platform/rows.ts';
import { type CountName, type Counts, countNames, DayTotal, dayOf } from './day-total.ts';
import { rangeOf } from './delays.ts';

// In tables `inbox` and `outbox`, in the partition of the account whose mail is counted:
//
//   t:day:{YYYY-MM-DD}        the total of a day
//   t:day:{YYYY-MM-DD}:left   mail that the account's last import of that day had left in the mailbox (`inbox` alone)
//   t:new:{newest first id}   what one transaction adds to the day of its instant, until it is added up

const dayPrefix = 't:day:';
export const newPrefix = 't:new:';

/** First key of the totals of a day and of those after it; last of all come the rows that are not added up. */
export const dayKey = (day: string) => dayPrefix + day;
export const daysEnd = prefixEnd(dayPrefix);
export const newEnd = prefixEnd(newPrefix);

const leftEnd = ':left';

/** Something that is counted. */
export interface Fact extends Counts {
  /** When it came true, in ms since the epoch: it counts for this day in UTC. */
  readonly at: number;
  /** Seconds from the acceptance of a mail until it was sent. */
  readonly delaySeconds?: number;
}

const countSchema = z.number().nonnegative().catch(0);
const rangeSchema = z.number().int().min(0).max(200).optional().catch(undefined);
const delaysSchema = z.array(z.tuple([z.number(), z.number()])).catch([]);

/** The write that counts something; it belongs into the transaction that makes it true. */
export function newRow({ at, delaySeconds, ...counts }: Fact): RowWrite {
  const delay = delaySeconds === undefined ? {} : { delayRange: rangeOf(delaySeconds) };
  return { kind: 'insert', key: newPrefix + newestFirstId(at), columns: { ...counts, ...delay } };
}

/** Adds what a `t:new:` row says to a total. */
export function addNewRow(total: DayTotal, { columns }: Row): void {
  const range = rangeSchema.parse(columns.delayRange);
  total.add(countsOf(columns), new Map(range === undefined ? [] : [[range, 1]]));
}

/** Day of a row of either kind. */
export function dayOfRow({ key }: Pick<Row, 'key'>): string {
  return isNew(key)
    ? dayOf(instantOf(key.slice(newPrefix.length)))
    : key.slice(dayPrefix.length, dayPrefix.length + 'YYYY-MM-DD'.length);
}

/** Whether a row is one that is not added up yet. */
export const isNew = (key: string) => key.startsWith(newPrefix);

/** Whether a row says what was left on a day. */
export const isLeft = (key: string) => key.endsWith(leftEnd);

/** The write that says what is left of a mailbox on a day; it takes the place of what was said before. */
export function leftRow(day: string, backlog: number): RowWrite {
  return { kind: 'put', key: dayKey(day) + leftEnd, columns: { backlog } };
}

/** What such a row says. */
export function backlogOfRow({ columns }: Row): number {
  return countSchema.parse(columns.backlog);
}

/** The columns of a `t:day:` row. */
export function totalColumns(total: DayTotal): Readonly<Record<string, Column>> {
  return { ...total.counts, delays: JSON.stringify([...total.delays]) };
}

/** What a `t:day:` row says. */
export function totalOfRow({ columns }: Row): DayTotal {
  const { delays } = columns;
  const read: unknown = typeof delays === 'string' ? JSON.parse(delays) : [];
  return new DayTotal().add(countsOf(columns), new Map(delaysSchema.parse(read)));
}

function countsOf(columns: Row['columns']): Counts {
  const counts: Partial<Record<CountName, number>> = {};
  for (const name of countNames) counts[name] = countSchema.parse(columns[name] ?? 0);
  return counts;
}
