import { z } from 'zod';

/** A lease that is not renewed for this long has lapsed: its process is gone. In ms. */
export const leaseMs = 30_000;

/**
 * A process cuts its connections this long before its lease ends, and others acquire its slots this long after. So two
 * clocks may differ by the sum, and a cut may take some time, before one connection too many is open. A process that is
 * frozen altogether (a stopped virtual machine) cuts nothing; mail protocols have nothing that would fence it off.
 */
export const cutBeforeEndMs = 3_000;
const takeoverDelayMs = 3_000;

/** A process that waits is remembered for this long, in ms; asking again renews that. */
const markMs = 12_000;

/** Where more processes wait than there are slots, each keeps one for at least this long before it yields, in ms. */
const turnMs = 5_000;

const holderSchema = z.object({
  /** Slots held. */
  n: z.int().min(0),
  /** Holds some without a break since then (ms). */
  since: z.number(),
  until: z.number(),
});

const markSchema = z.object({ since: z.number(), until: z.number() });

/** Who holds slots of one account on one server, and who waits for some: by the id of the process. */
export const slotRowSchema = z.object({
  holders: z.record(z.string(), holderSchema),
  waiting: z.record(z.string(), markSchema),
});

/** The row's value. */
export type SlotRow = z.output<typeof slotRowSchema>;

/** The value of a row that does not exist. */
export const noSlotsTaken: SlotRow = { holders: {}, waiting: {} };

/** The state of the process that writes the row. */
export interface OwnSlots {
  readonly owner: string;
  /** Slots that it uses now. */
  readonly held: number;
  /** Slots that it wants in addition. */
  readonly wanted: number;
  /** Its lease is to be renewed. */
  readonly renew: boolean;
}

/** The row as a process wants to write it. */
export interface SlotChange {
  readonly row: SlotRow;
  /** The row differs from before and is to be written. */
  readonly dirty: boolean;
  /** How many of the wanted slots the process has once the row is written. */
  readonly granted: number;
}

/**
 * The row without what has lapsed. An end that lies further ahead than any can was written by a clock that runs ahead: it
 * counts from now on as if it were written now (`corrected`: and must be written so, or it would never come).
 */
function living(row: SlotRow, now: number): { readonly row: SlotRow; readonly corrected: boolean } {
  let corrected = false;
  const believable = <T extends { readonly until: number; readonly since: number }>(entry: T, forMs: number): T => {
    if (entry.until <= now + 2 * forMs) return entry;
    corrected = true;
    return { ...entry, since: Math.min(entry.since, now), until: now + forMs };
  };
  const holders: SlotRow['holders'] = {};
  const waiting: SlotRow['waiting'] = {};
  for (const [owner, holder] of Object.entries(row.holders)) {
    if (holder.n > 0 && holder.until + takeoverDelayMs > now) holders[owner] = believable(holder, leaseMs);
  }
  for (const [owner, mark] of Object.entries(row.waiting)) {
    if (mark.until > now) waiting[owner] = believable(mark, markMs);
  }
  return { row: { holders, waiting }, corrected };
}

const used = (row: SlotRow) => Object.values(row.holders).reduce((sum, { n }) => sum + n, 0);

/** The fair share: what each process gets if all that hold or wait get the same. */
function shareOf(row: SlotRow, owner: string, total: number): number {
  const taking = new Set([...Object.keys(row.holders), ...Object.keys(row.waiting), owner]);
  return Math.max(1, Math.floor(total / taking.size));
}

/** Since when others wait that have less than their share. */
function waitingOthers(row: SlotRow, owner: string, share: number): readonly number[] {
  return Object.entries(row.waiting)
    .filter(([other]) => other !== owner && (row.holders[other]?.n ?? 0) < share)
    .map(([, { since }]) => since);
}

/** How many more slots the process may acquire. While others wait: none of those for processes that wait longer, and none above its share. */
function acquirable(row: SlotRow, owner: string, total: number): number {
  const free = total - used(row);
  const share = shareOf(row, owner, total);
  const others = waitingOthers(row, owner, share);
  if (others.length === 0) return Math.max(0, free);
  const own = row.waiting[owner];
  const ahead = own ? others.filter((since) => since < own.since).length : others.length;
  return Math.max(0, Math.min(free - ahead, share - (row.holders[owner]?.n ?? 0)));
}

/** The row as the process writes it: its lease renewed, as many more slots as it may have, and a mark if it got fewer than it wants. */
export function changeSlots(before: SlotRow, own: OwnSlots, total: number, now: number): SlotChange {
  const { owner, held, wanted } = own;
  const { row, corrected } = living(before, now);
  const { holders, waiting } = row;
  const mine = before.holders[owner];
  const since = (held > 0 ? holders[owner]?.since : undefined) ?? now;
  const holding = (n: number) => ({ n, since, until: now + leaseMs });
  // What it released is free before it acquires anything.
  if (held > 0) holders[owner] = holding(held);
  else delete holders[owner];
  const granted = Math.min(wanted, acquirable({ holders, waiting }, owner, total));
  const n = held + granted;
  if (n > 0) holders[owner] = holding(n);
  const mark = waiting[owner];
  const short = granted < wanted;
  if (short && (!mark || mark.until < now + markMs / 2)) {
    waiting[owner] = { since: mark?.since ?? now, until: now + markMs };
  } else if (wanted > 0 && !short) delete waiting[owner];
  const dirty = corrected || n !== (mine?.n ?? 0) || (own.renew && n > 0) || waiting[owner] !== mark;
  return { row, dirty, granted };
}

/**
 * How many slots the process should release because others wait: what it has above its share; or, where nobody has,
 * its only one if it has held longest. Also what it has above a limit that was lowered.
 */
export function surplusOf(whole: SlotRow, owner: string, total: number, now: number): number {
  const { row } = living(whole, now);
  const own = row.holders[owner];
  if (!own) return 0;
  const overTotal = Math.min(own.n, Math.max(0, used(row) - total));
  const share = shareOf(row, owner, total);
  const others = waitingOthers(row, owner, share).length;
  const missing = others - Math.max(0, total - used(row));
  if (missing <= 0) return overTotal;
  if (own.n > share) return Math.max(overTotal, own.n - share);
  // Of those that have held as long, one gives way: the first by name.
  const rotates =
    own.since + turnMs <= now &&
    Object.entries(row.holders).every(
      ([other, { n, since }]) => n <= share && (since > own.since || (since === own.since && other >= owner)),
    );
  return Math.max(overTotal, rotates ? 1 : 0);
}
