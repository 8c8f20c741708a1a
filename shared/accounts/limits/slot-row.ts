import { z } from 'zod';

/** Connections that are not renewed for this long have lapsed: their process is gone. */
export const leaseMs = 30_000;

/**
 * A holder cuts its connections this long before its lease ends, and others take its places this long after: two clocks
 * may differ by the sum, and a cut may take its time, before one connection too many is open. A process that is frozen
 * altogether (a stopped virtual machine) cuts nothing; no protocol of mail has anything that would fence it off.
 */
export const cutEarlyMs = 3_000;
export const takeLateMs = 3_000;

/** A mark of a process that waits is good for this long; asking again renews it. */
const markMs = 12_000;

/** Where more processes wait than there are places, each holds one at least this long before it gives way. */
const turnMs = 5_000;

const holderSchema = z.object({
  /** Places held. */
  n: z.int().min(0),
  /** Holds some without a break since then (ms). */
  since: z.number(),
  until: z.number(),
});

const markSchema = z.object({ since: z.number(), until: z.number() });

/** Who holds places of one account on one server, and who waits for some: by the id of the process. */
export const slotRowSchema = z.object({
  holders: z.record(z.string(), holderSchema),
  waiting: z.record(z.string(), markSchema),
});

export type SlotRow = z.output<typeof slotRowSchema>;

export const noSlotsTaken: SlotRow = { holders: {}, waiting: {} };

/** What a process says of itself whenever it writes the row. */
export interface OwnSlots {
  readonly owner: string;
  /** Places that it uses now. */
  readonly held: number;
  /** Places that it would like in addition. */
  readonly wanted: number;
  /** Its lease is to be renewed. */
  readonly renew: boolean;
}

export interface SlotChange {
  readonly row: SlotRow;
  /** The row differs from before and is to be written. */
  readonly dirty: boolean;
  /** How many of the wanted places the process has once the row is written. */
  readonly granted: number;
}

/** The row without what has lapsed. */
function living(row: SlotRow, now: number): SlotRow {
  const keep = <T>(entries: Record<string, T>, lives: (entry: T) => boolean) =>
    Object.fromEntries(Object.entries(entries).filter(([, entry]) => lives(entry)));
  return {
    holders: keep(row.holders, ({ n, until }) => n > 0 && until + takeLateMs > now),
    waiting: keep(row.waiting, ({ until }) => until > now),
  };
}

const used = (row: SlotRow) => Object.values(row.holders).reduce((sum, { n }) => sum + n, 0);

/** What each gets when all who hold or wait get the same. */
function shareOf(row: SlotRow, owner: string, total: number): number {
  const taking = new Set([...Object.keys(row.holders), ...Object.keys(row.waiting), owner]);
  return Math.max(1, Math.floor(total / taking.size));
}

/** Others that wait and have less than their share, the one that waits longest first. */
function waitingOthers(row: SlotRow, owner: string, share: number): readonly (readonly [string, { since: number }])[] {
  return Object.entries(row.waiting)
    .filter(([other]) => other !== owner && (row.holders[other]?.n ?? 0) < share)
    .sort(([a, one], [b, two]) => one.since - two.since || (a < b ? -1 : 1));
}

/** How many more places the process may take: none that is kept for one that waits longer, none above its share then. */
function takeable(row: SlotRow, owner: string, total: number): number {
  const free = total - used(row);
  const share = shareOf(row, owner, total);
  const others = waitingOthers(row, owner, share);
  if (others.length === 0) return Math.max(0, free);
  const own = row.waiting[owner];
  const ahead = own ? others.filter(([, { since }]) => since < own.since).length : others.length;
  return Math.max(0, Math.min(free - ahead, share - (row.holders[owner]?.n ?? 0)));
}

/** The row as the process makes it: its places renewed, as many more taken as it may have, a mark where it gets fewer. */
export function changeSlots(before: SlotRow, own: OwnSlots, total: number, now: number): SlotChange {
  const { owner, held, wanted } = own;
  const { holders, waiting } = living(before, now);
  const mine = before.holders[owner];
  const since = (held > 0 ? holders[owner]?.since : undefined) ?? now;
  // What it has given back is free before it takes anything.
  if (held > 0) holders[owner] = { n: held, since, until: now + leaseMs };
  else delete holders[owner];
  const granted = Math.min(wanted, takeable({ holders, waiting }, owner, total));
  const n = held + granted;
  if (n > 0) holders[owner] = { n, since, until: now + leaseMs };
  const mark = waiting[owner];
  const short = granted < wanted;
  if (short && (!mark || mark.until < now + markMs / 2)) {
    waiting[owner] = { since: mark?.since ?? now, until: now + markMs };
  } else if (wanted > 0 && !short) delete waiting[owner];
  const dirty = n !== (mine?.n ?? 0) || (own.renew && n > 0) || waiting[owner] !== mark;
  return { row: { holders, waiting }, dirty, granted };
}

/**
 * How many places the process should give back because others wait: what it has above its share; or, where nobody has,
 * its only one if it has held longest. Also what it has above a limit that was lowered.
 */
export function surplusOf(whole: SlotRow, owner: string, total: number, now: number): number {
  const row = living(whole, now);
  const own = row.holders[owner];
  if (!own) return 0;
  const overTotal = Math.min(own.n, Math.max(0, used(row) - total));
  const share = shareOf(row, owner, total);
  const others = waitingOthers(row, owner, share).length;
  const missing = others - Math.max(0, total - used(row));
  if (missing <= 0) return overTotal;
  if (own.n > share) return Math.max(overTotal, own.n - share);
  const holders = Object.entries(row.holders);
  const eldest = holders.sort(([a, one], [b, two]) => one.since - two.since || (a < b ? -1 : 1))[0];
  const rotates = holders.every(([, { n }]) => n <= share) && eldest?.[0] === owner && own.since + turnMs <= now;
  return Math.max(overTotal, rotates ? 1 : 0);
}
