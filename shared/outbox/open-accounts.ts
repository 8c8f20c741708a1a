import type { Clock } from '../platform/clock.ts';
import { dueFilter, dueTime } from '../platform/due-time.ts';
import { LruMap } from '../platform/lru-map.ts';
import { ignoreConflict, type Row, RowConflict, type Rows, type RowWrite } from '../platform/rows.ts';
import { openPartition } from './keys.ts';

/** How long a process relies on what it noted. In ms. */
const believeMs = 30_000;

/** A note is kept this long although nothing is open: far longer than anybody relies on it. In ms. */
const keepMs = 120_000;

/** What was written so long after its note is noted once more. In ms. */
const sureMs = 60_000;

/** The recovery timer looks at an account this long after mail of it was noted, when an acceptance can have lapsed. */
const firstLookMs = 60_000;

/** An account with anything open is looked at this often at least: what waits may be brought forward. In ms. */
const longestMs = 10 * 60_000;

/** Accounts of one run of the timer at most; the others follow in the next minute. */
const maxDue = 5_000;

/** Accounts that a process remembers at most. */
const maxRemembered = 10_000;

/** How often a note is tried while others write the same one. */
const maxRounds = 20;

interface Noted {
  /** By the process's own clock, which nobody sets, and by the system's. In ms. */
  readonly at: number;
  readonly clockAt: number;
}

/**
 * Which accounts have open mail, in one partition: the recovery timer reads that, and not ten thousand partitions each
 * minute. A row is there before the first open mail of its account is, and goes on the condition of its entity tag when
 * nothing is open any more. A process that stands still between its note and its mail for so long that the row has gone
 * writes it again; where it is ended before that, `recoverEverywhere` finds the mail.
 */
export class OpenAccounts {
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #noted = new LruMap<string, Noted>({ max: maxRemembered });
  readonly #noting = new Map<string, Promise<void>>();

  constructor(rows: Rows, clock: Clock) {
    this.#rows = rows;
    this.#clock = clock;
  }

  /** Notes that the account is about to have open mail; free where this process has done so in the last half minute. Throws storage's trouble. */
  async note(account: string): Promise<void> {
    const known = this.#noted.get(account);
    if (known && this.#age(known) < believeMs) return;
    // Of a burst, one writes.
    const noting = this.#noting.get(account) ?? this.#noteNow(account).finally(() => this.#noting.delete(account));
    this.#noting.set(account, noting);
    await noting;
  }

  /** Makes a write that opens mail of the account. Throws what it throws, and storage's trouble. */
  async opening<T>(account: string, write: () => Promise<T>): Promise<T> {
    await this.note(account);
    const noted = this.#noted.get(account);
    const result = await write();
    if (!noted || this.#age(noted) >= sureMs) {
      this.#noted.delete(account);
      await this.note(account);
    }
    return result;
  }

  /** The rows of accounts that are to be looked at now. */
  async due({ signal }: { readonly signal: AbortSignal }): Promise<readonly Row[]> {
    const now = this.#clock.now();
    const due: Row[] = [];
    const options = { filter: dueFilter('checkAt', now), top: maxDue, signal };
    for await (const row of this.#rows.prefix(openPartition, '', options)) {
      if (dueTime(row, numberOf(row, 'checkAt'), now) <= now) due.push(row);
    }
    return due;
  }

  /** Every account that may have open mail: one that is not among them has none. Throws storage's trouble. */
  async names({ signal }: { readonly signal: AbortSignal }): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for await (const { key } of this.#rows.prefix(openPartition, '', { select: [], signal })) names.add(key);
    return names;
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
    const write: RowWrite =
      again === undefined
        ? { kind: 'delete', key, etag }
        : { kind: 'merge', key, etag, columns: waits(Math.min(again, now + longestMs), now) };
    // A conflict: mail was noted meanwhile, and the account is looked at again.
    await this.#rows.write(openPartition, [write]).catch(ignoreConflict);
  }

  async #noteNow(account: string): Promise<void> {
    const noted = { at: performance.now(), clockAt: this.#clock.now() };
    await this.#write(account);
    this.#noted.set(account, noted);
  }

  #age({ at, clockAt }: Noted): number {
    return Math.max(performance.now() - at, Math.abs(this.#clock.now() - clockAt));
  }

  /** The row is new, or has another entity tag afterwards: whoever is about to remove it must look again. */
  async #write(key: string): Promise<void> {
    for (let round = 1; round <= maxRounds; round += 1) {
      const now = this.#clock.now();
      const lookAt = now + firstLookMs;
      const kept = { keepUntil: now + keepMs };
      try {
        const columns = { ...waits(lookAt, now), ...kept };
        await this.#rows.write(openPartition, [{ kind: 'insert', key, columns }]);
        return;
      } catch (error) {
        if (!(error instanceof RowConflict)) throw error;
      }
      const row = await this.#rows.get(openPartition, key);
      if (!row) continue;
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

function waits(at: number, now: number) {
  return { checkAt: at, waitMs: Math.max(0, at - now) };
}

function numberOf({ columns }: Row, name: string): number {
  const value = columns[name];
  return typeof value === 'number' ? value : 0;
}
