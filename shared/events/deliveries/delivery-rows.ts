import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { digest, newestFirst } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { type Columns, ignoreConflict, jsonColumns, jsonOf, type Row, type Rows } from '../../platform/rows.ts';
import type { CloudEvent } from '../events.ts';

/**
 * Events on their way to a target. One partition per target: an account's name for its webhook, `topic` for the Event Grid
 * topic. Rows of it, by key:
 *
 * - `w:0{event's time}:{digest}`: was not tried yet; due whatever the time is
 * - `w:1{due}:{digest}`: was tried, and is due at that time
 * - `g:{given up, newest first}:{digest}`: is not tried again by itself
 * - `x:{key}`: a row that could not be read
 * - `s`: how the target is doing, and who delivers to it now
 */
export const topic = '!topic';

const waitingPrefix = 'w:';
const givenUpPrefix = 'g:';
const unreadablePrefix = 'x:';
/** The first key behind all deliveries that wait. Between the two kinds stands the target's state. */
const waitingEnd = 'w;';

/** Where deliveries are kept. */
export interface DeliveryPlace {
  readonly rows: Rows;
  readonly clock: Clock;
}

const eventSchema = z.object({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  subject: z.string(),
  time: z.string(),
  datacontenttype: z.literal('application/json'),
  data: z.record(z.string(), z.unknown()),
});

const columnsSchema = z.object({
  /** When the event happened, and when it was recorded here, in ms since the epoch. */
  eventAt: z.number(),
  recordedAt: z.number(),
  attempts: z.number(),
  givenUpAt: z.number().optional(),
  /** What came of the last attempt. */
  lastAt: z.number().optional(),
  lastStatus: z.number().optional(),
  lastCode: z.string().optional(),
});

/** One event for one target. */
export type Delivery = z.output<typeof columnsSchema> & {
  readonly key: string;
  readonly etag: string;
  readonly event: CloudEvent;
};

interface ListOptions {
  readonly signal: AbortSignal;
  readonly top: number;
}

const digits = (ms: number) => String(Math.max(0, Math.round(ms))).padStart(13, '0');
const digestOf = ({ id }: CloudEvent) => digest(32, id);
const newKey = (event: CloudEvent, eventAt: number) => `${waitingPrefix}0${digits(eventAt)}:${digestOf(event)}`;
const retryKey = (event: CloudEvent, due: number) => `${waitingPrefix}1${digits(due)}:${digestOf(event)}`;

/** Records an event for a target. One that waits there under the same id is the same event. */
export async function addDelivery(
  { rows, clock }: DeliveryPlace,
  target: string,
  event: CloudEvent,
  eventAt: number,
): Promise<void> {
  const columns = { ...jsonColumns(event), eventAt, recordedAt: clock.now(), attempts: 0 };
  await rows.write(target, [{ kind: 'insert', key: newKey(event, eventAt), columns }]).catch(ignoreConflict);
}

/** Deliveries that are due: new ones first, each sort the oldest first. */
export async function dueDeliveries(
  { rows, clock }: DeliveryPlace,
  target: string,
  { signal, top }: ListOptions,
): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  const before = `${waitingPrefix}1${digits(clock.now() + 1)}`;
  for await (const row of rows.range(target, waitingPrefix, before, { signal, top })) {
    const delivery = readDelivery(row);
    if (delivery) found.push(delivery);
    else await setAside(rows, target, row);
  }
  return found;
}

/** When the next delivery is due, in ms since the epoch; 0 for one that was not tried yet; undefined: nothing waits. */
export async function nextDue(
  { rows }: DeliveryPlace,
  target: string,
  options: { readonly signal: AbortSignal },
): Promise<number | undefined> {
  const query = { ...options, top: 1, select: ['attempts'] };
  for await (const { key } of rows.prefix(target, waitingPrefix, query)) return dueOf(key);
  return undefined;
}

/** When a delivery is due, in ms since the epoch, by its key; 0 for one that was not tried yet. */
export function dueOf(key: string): number {
  return key.startsWith(`${waitingPrefix}0`) ? 0 : Number(key.slice(waitingPrefix.length + 1).split(':')[0]);
}

/** The target has the event. */
export async function removeDelivery({ rows }: DeliveryPlace, target: string, delivery: Delivery): Promise<void> {
  const { key, etag } = delivery;
  await rows.write(target, [{ kind: 'delete', key, etag }]).catch(ignoreConflict);
}

/** The delivery waits until `due` (ms since the epoch). `columns`: what the attempt has changed. */
export async function postpone(
  { rows }: DeliveryPlace,
  target: string,
  delivery: Delivery,
  { due, columns }: { readonly due: number; readonly columns: Columns },
): Promise<void> {
  const { key, etag, event } = delivery;
  const whole = { ...columnsOf(delivery), ...columns };
  const next = retryKey(event, due);
  await rows
    .write(
      target,
      next === key
        ? [{ kind: 'replace', key, etag, columns: whole }]
        : [
            { kind: 'delete', key, etag },
            { kind: 'put', key: next, columns: whole },
          ],
    )
    .catch(ignoreConflict);
}

/** The delivery is not tried again by itself. It is kept, and `replay` brings it back. */
export async function giveUp(
  { rows, clock }: DeliveryPlace,
  target: string,
  delivery: Delivery,
  columns: Columns = {},
): Promise<void> {
  const now = clock.now();
  const key = `${givenUpPrefix}${newestFirst(now)}:${digestOf(delivery.event)}`;
  const whole = { ...columnsOf(delivery), ...columns, givenUpAt: now };
  await rows
    .write(target, [
      { kind: 'delete', key: delivery.key, etag: delivery.etag },
      { kind: 'put', key, columns: whole },
    ])
    .catch(ignoreConflict);
}

/** Brings a delivery back that was given up, as if it were new. False: somebody else has done so. */
export async function requeueGivenUp(
  { rows, clock }: DeliveryPlace,
  target: string,
  delivery: Delivery,
): Promise<void> {
  const { key, etag, event, eventAt } = delivery;
  const columns = { ...jsonColumns(event), eventAt, recordedAt: clock.now(), attempts: 0 };
  await rows
    .write(target, [
      { kind: 'delete', key, etag },
      { kind: 'put', key: newKey(event, eventAt), columns },
    ])
    .catch(ignoreConflict);
}

/** Which of the deliveries that were given up are read. */
export interface GivenUpRange extends ListOptions {
  /** Given up at this instant or later, in ms since the epoch. */
  readonly since?: number;
  /** Given up before this instant. */
  readonly before?: number;
  /** Of events that happened at this instant or later. */
  readonly eventSince?: number;
}

/** Deliveries that were given up, the last one first. */
export async function givenUpDeliveries(
  { rows }: DeliveryPlace,
  target: string,
  { since, before, eventSince, ...options }: GivenUpRange,
): Promise<readonly Delivery[]> {
  // Keys begin with the newest: what is older comes behind an instant's key.
  const from = before === undefined ? givenUpPrefix : `${givenUpPrefix}${newestFirst(before - 1)}`;
  const to = since === undefined ? 'g;' : `${givenUpPrefix}${newestFirst(since)};`;
  const filter = eventSince === undefined ? {} : { filter: `eventAt ge ${eventSince}` };
  const found: Delivery[] = [];
  for await (const row of rows.range(target, from, to, { ...options, ...filter })) {
    const delivery = readDelivery(row);
    if (delivery) found.push(delivery);
  }
  return found;
}

/** Deliveries that wait and were recorded before an instant (ms since the epoch). */
export async function waitingSince(
  { rows }: DeliveryPlace,
  target: string,
  { before, ...options }: ListOptions & { readonly before: number },
): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  const filter = `recordedAt lt ${before}`;
  for await (const row of rows.prefix(target, waitingPrefix, { ...options, filter })) {
    const delivery = readDelivery(row);
    if (delivery) found.push(delivery);
  }
  return found;
}

/** How many deliveries wait, or were given up; beyond `top` the number stands for "at least". */
export async function countDeliveries(
  { rows }: DeliveryPlace,
  target: string,
  state: 'waiting' | 'givenUp',
  options: ListOptions,
): Promise<number> {
  let count = 0;
  const prefix = state === 'waiting' ? waitingPrefix : givenUpPrefix;
  for await (const _ of rows.prefix(target, prefix, { ...options, select: ['attempts'] })) count += 1;
  return count;
}

/** What there is of a target, in short. */
export interface TargetOverview {
  /** Deliveries that wait, and those that were given up; beyond `top` the number stands for "at least". */
  readonly waiting: number;
  readonly givenUp: number;
  /** As `nextDue`. */
  readonly next: number | undefined;
  /** False: nothing was ever delivered to it. */
  readonly hasState: boolean;
}

/** Reads what there is of a target: one reading where it is little. Throws storage's trouble. */
export async function targetOverview(
  place: DeliveryPlace,
  target: string,
  options: ListOptions,
): Promise<TargetOverview> {
  let waiting = 0;
  let givenUp = 0;
  let hasState = false;
  let next: number | undefined;
  const query = { ...options, select: ['attempts'] };
  for await (const { key } of place.rows.range(target, givenUpPrefix, waitingEnd, query)) {
    if (key.startsWith(givenUpPrefix)) givenUp += 1;
    else if (key.startsWith(waitingPrefix)) {
      waiting += 1;
      next ??= dueOf(key);
    } else hasState = true;
  }
  if (waiting + givenUp + 1 < options.top) return { waiting, givenUp, next, hasState };
  // One kind must not hide the other.
  const [allWaiting, allGivenUp, first] = await Promise.all([
    countDeliveries(place, target, 'waiting', options),
    countDeliveries(place, target, 'givenUp', options),
    nextDue(place, target, options),
  ]);
  return { waiting: allWaiting, givenUp: allGivenUp, next: first, hasState: true };
}

/** Undefined: another version of this service wrote it, and this one cannot read it. */
function readDelivery(row: Row): Delivery | undefined {
  try {
    return { ...columnsSchema.parse(row.columns), event: eventSchema.parse(jsonOf(row)), key: row.key, etag: row.etag };
  } catch {
    return undefined;
  }
}

/** Takes a row that cannot be read out of the way of the others, and keeps it as it is. */
async function setAside(rows: Rows, target: string, { key, etag, columns }: Row): Promise<void> {
  log.error('events.rowUnreadable', { target, key });
  await rows
    .write(target, [
      { kind: 'delete', key, etag },
      { kind: 'put', key: `${unreadablePrefix}${key}`, columns },
    ])
    .catch(ignoreConflict);
}

function columnsOf({ key: _, etag: __, event, ...columns }: Delivery): Columns {
  return { ...jsonColumns(event), ...columns };
}
