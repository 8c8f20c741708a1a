import type { Clock } from '../platform/clock.ts';
import { dueFilter, dueTime } from '../platform/due-time.ts';
import { keepNoteMs, NoteBefore } from '../platform/note-before.ts';
import { ignoreConflict, type Row, RowConflict, type Rows, type RowWrite } from '../platform/rows.ts';
import { openPartition } from './keys.ts';

/** The recovery timer looks at an account this long after mail of it was noted, when an acceptance can have lapsed. */
const firstLookMs = 60_000;

/** An account with anything open is looked at this often at least: what waits may be brought forward. In ms. */
const longestMs = 10 * 60_000;

/** Accounts of one run of the timer at most; the others follow in the next minute. */
const maxDue = 5_000;

/** How often a note is tried while others write the same one. */
const maxRounds = 20;

/** Begins the key of the row that says until when an account was handed mail. Names sort before it. */
const handedPrefix = '~';

/** Which accounts have mail, as far as is noted. */
export interface NotedMail {
  /** Accounts that may have open mail. */
  readonly open: ReadonlySet<string>;
  /** When the last mail of each other account was handed in at the latest, in ms since the epoch. */
  readonly handedUntil: ReadonlyMap<string, number>;
}

/**
 * Which accounts have open mail, in one partition: the recovery timer reads that, and not ten thousand partitions each
 * minute. A row is there before the first open mail of its account is, and goes on the condition of its entity tag when
 * nothing is open any more. A process that stands still between its note and its mail for so long that the row has gone
 * writes it again; where it is ended before that, `recoverEverywhere` finds the mail.
 *
 * The row that goes leaves another one, which says until when mail was handed in: so a listing of the newest mails knows
 * which accounts cannot have any of them.
 */
export class OpenAccounts {
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #notes: NoteBefore;

  constructor(rows: Rows, clock: Clock) {
    this.#rows = rows;
    this.#clock = clock;
    this.#notes = new NoteBefore(clock, (account) => this.#write(account));
  }

  /** Notes that the account is about to have open mail; free where this process has done so in the last half minute. Throws storage's trouble. */
  async note(account: string): Promise<void> {
    await this.#notes.note(account);
  }

  /** Makes a write that opens mail of the account. Throws what it throws, and storage's trouble. */
  async opening<T>(account: string, write: () => Promise<T>): Promise<T> {
    return await this.#notes.before(account, write);
  }

  /** The rows of accounts that are to be looked at now. */
  async due({ signal }: { readonly signal: AbortSignal }): Promise<readonly Row[]> {
    const now = this.#clock.now();
    const due: Row[] = [];
    const options = { filter: dueFilter('checkAt', now), top: maxDue, signal };
    for await (const row of this.#rows.range(openPartition, '', handedPrefix, options)) {
      if (dueTime(row, numberOf(row, 'checkAt'), now) <= now) due.push(row);
    }
    return due;
  }

  /** Every account that may have open mail: one that is not among them has none. Throws storage's trouble. */
  async names({ signal }: { readonly signal: AbortSignal }): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    const rows = this.#rows.range(openPartition, '', handedPrefix, { select: [], signal });
    for await (const { key } of rows) names.add(key);
    return names;
  }

  /** What is noted of every account, read in the order in which it stays true. Throws storage's trouble. */
  async noted({ signal }: { readonly signal: AbortSignal }): Promise<NotedMail> {
    const open = new Set<string>();
    const handedUntil = new Map<string, number>();
    // Open ones stand first: one that is closed meanwhile says until when behind them.
    for await (const row of this.#rows.prefix(openPartition, '', { select: ['until'], signal })) {
      if (row.key.startsWith(handedPrefix)) handedUntil.set(row.key.slice(1), numberOf(row, 'until'));
      else open.add(row.key);
    }
    return { open, handedUntil };
  }

  /**
   * An account was looked at: it is looked at again when the first of its open mail may need it (`next`, ms since the
   * epoch), or when there is some again (undefined: nothing is open).
   */
  async looked(row: Row, next: number | undefined): Promise<void> {
    const now = this.#clock.now();
    const keepUntil = numberOf(row, 'keepUntil');
    const { key, etag } = row;
    const again = next ?? (keepUntil > now ? keepUntil : undefined);
    const writes: readonly RowWrite[] =
      again === undefined
        ? [{ kind: 'delete', key, etag }, handedRow(key, now)]
        : [{ kind: 'merge', key, etag, columns: waits(Math.min(again, now + longestMs), now) }];
    // A conflict: mail was noted meanwhile, and the account is looked at again.
    await this.#rows.write(openPartition, writes).catch(ignoreConflict);
  }

  /** The newest mail of an account was found to be of the instant `at` (ms since the epoch): no note may say less. */
  async found(account: string, at: number, options: { readonly signal: AbortSignal }): Promise<void> {
    const row = await this.#rows.get(openPartition, handedPrefix + account, options);
    if (row && numberOf(row, 'until') >= at) return;
    const { key, columns } = handedRow(account, at);
    const write: RowWrite = row ? { kind: 'replace', key, columns, etag: row.etag } : { kind: 'insert', key, columns };
    // A conflict: it was closed meanwhile, and that is later.
    await this.#rows.write(openPartition, [write]).catch(ignoreConflict);
  }

  /** The row is new, or has another entity tag afterwards: whoever is about to remove it must look again. */
  async #write(key: string): Promise<void> {
    for (let round = 1; round <= maxRounds; round += 1) {
      const now = this.#clock.now();
      const lookAt = now + firstLookMs;
      try {
        const columns = { ...waits(lookAt, now), keepUntil: now + keepNoteMs };
        await this.#rows.write(openPartition, [{ kind: 'insert', key, columns }]);
        return;
      } catch (error) {
        if (!(error instanceof RowConflict)) throw error;
      }
      const row = await this.#rows.get(openPartition, key);
      if (!row) continue;
      // Of two clocks the later one counts: no mail is of a time after that.
      const kept = { keepUntil: Math.max(now + keepNoteMs, numberOf(row, 'keepUntil')) };
      const isSooner = dueTime(row, numberOf(row, 'checkAt'), now) <= lookAt;
      const columns = isSooner ? kept : { ...waits(lookAt, now), ...kept };
      try {
        await this.#rows.write(openPartition, [{ kind: 'merge', key, etag: row.etag, columns }]);
        return;
      } catch (error) {
        if (!(error instanceof RowConflict)) throw error;
      }
    }
    throw new Error(`The open mail of ${key} is being noted by too many others`);
  }
}

function handedRow(account: string, until: number) {
  return { kind: 'put', key: handedPrefix + account, columns: { until } } as const;
}

function waits(at: number, now: number) {
  return { checkAt: at, waitMs: Math.max(0, at - now) };
}

function numberOf({ columns }: Row, name: string): number {
  const value = columns[name];
  return typeof value === 'number' ? value : 0;
}
