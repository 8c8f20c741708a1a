import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { keepNoteMs, NoteBefore } from '../platform/note-before.ts';
import { ignoreConflict, jsonColumns, jsonOf, prefixEnd, type Row, type Rows } from '../platform/rows.ts';
import { summariesPartition } from './keys.ts';

/**
 * Rows of partition `summaries` in table `accounts`:
 *
 *   c:{account}   something of the account was changed since its summary was written, or is about to be
 *   s:{account}   its summary
 */
const prefixes = { changed: 'c:', summary: 's:' } as const;

/** A summary is believed for so long, whatever is noted: each night all are written anew. In ms. */
const believeMs = 26 * 3_600_000;

/** Summaries that one reading brings; storage answers up to 1,000. */
const perReading = 900;

/** Rows of one transaction. */
const perTransaction = 100;

interface Options {
  readonly signal: AbortSignal;
}

/** An account in a list: its name, and whether all that it ever did was noted (`isNotedFromStart`). */
export interface SummedAccount {
  readonly name: string;
  readonly fromStart: boolean;
  /** When it was added, in ms since the epoch. */
  readonly createdAt: number;
}

/** What is known of accounts without looking at their own rows. */
export interface KnownSummaries {
  /** The summary of an account as it was kept; `nothing`: it has done nothing yet; undefined: its own rows must be read. */
  of(account: string): unknown;
  /** The note that an account was changed. */
  readonly changed: ReadonlyMap<string, Row>;
}

/** Says that an account has done nothing yet. */
export const nothing = Symbol('nothing');

/**
 * A summary of each account in one partition, so that a list of a thousand accounts is a reading or two, and not some
 * thousand. Summaries are of rows that lie in the accounts' own partitions, and are written in no transaction with them.
 * So whatever changes such rows first notes that the account is changed (`changing`): once in half a minute by each
 * process. A changed account has no summary that counts, and is read by its own rows. Whoever has read them, after no
 * process relies on its note any more, writes the summary and takes the note away in one transaction, on the condition of
 * the note's entity tag: what was changed meanwhile has another one.
 */
export class AccountSummaries {
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #notes: NoteBefore;

  /** `rows`: of table `accounts`. */
  constructor(rows: Rows, clock: Clock) {
    this.#rows = rows;
    this.#clock = clock;
    this.#notes = new NoteBefore(clock, (account) => this.note([account]), {
      // A receipt is worth more than what a list says of its account until the next night.
      unnoted: (account, error) => log.warn('accounts.changeNotNoted', { account, error: errorText(error) }),
    });
  }

  /** Makes a write that changes what a summary says, also where that cannot be noted. Throws what it throws. */
  async changing<T>(account: string, write: () => Promise<T>): Promise<T> {
    return await this.#notes.before(account, write);
  }

  /** Notes that these accounts are changed, or that nothing is known of them: one transaction for a hundred. */
  async note(accounts: readonly string[]): Promise<void> {
    const columns = { keepUntil: this.#clock.now() + keepNoteMs };
    for (let at = 0; at < accounts.length; at += perTransaction) {
      const some = accounts.slice(at, at + perTransaction);
      await this.#rows.write(
        summariesPartition,
        some.map((account) => ({ kind: 'put', key: prefixes.changed + account, columns }) as const),
      );
    }
  }

  /** The notes of changed accounts, by their names. Throws storage's trouble. */
  async changed({ signal }: Options): Promise<ReadonlyMap<string, Row>> {
    const found = new Map<string, Row>();
    for await (const row of this.#rows.prefix(summariesPartition, prefixes.changed, { signal }))
      found.set(row.key.slice(prefixes.changed.length), row);
    return found;
  }

  /** Whether no process relies on this note any more: what its account's rows say now can be kept. */
  isSettled({ columns, writtenAt = 0 }: Row): boolean {
    const { keepUntil } = columns;
    const end = Math.max(typeof keepUntil === 'number' ? keepUntil : 0, writtenAt + keepNoteMs);
    return end <= this.#clock.now();
  }

  /** Keeps a summary of rows that were read after the note was, and takes the note away, if it is still that one. */
  async keep(account: string, note: Row, summary: object): Promise<void> {
    const key = prefixes.summary + account;
    const columns = { ...jsonColumns(summary), at: this.#clock.now() };
    await this.#rows
      .write(summariesPartition, [
        { kind: 'delete', key: note.key, etag: note.etag },
        { kind: 'put', key, columns },
      ])
      .catch(ignoreConflict);
  }

  /** What is known of the `wanted` of all accounts. Throws storage's trouble. */
  async known(
    accounts: readonly SummedAccount[],
    wanted: ReadonlySet<string>,
    options: Options,
  ): Promise<KnownSummaries> {
    // First of all: a summary that is written later is right, and one that was changed later was right at this moment.
    const changed = await this.changed(options);
    const found = new Map<string, Row>();
    await Promise.all(
      rangesOf(accounts, wanted).map(async ([from, last]) => {
        // Names have letters, digits and `-`, which all stand behind `!`.
        const before = prefixEnd(`${prefixes.summary}${last}!`);
        for await (const row of this.#rows.range(summariesPartition, prefixes.summary + from, before, options))
          found.set(row.key.slice(prefixes.summary.length), row);
      }),
    );
    const untouched = new Set(accounts.filter((each) => each.fromStart && this.#isYoung(each.createdAt)).map(nameOf));
    const of = (account: string) => {
      if (changed.has(account)) return undefined;
      const row = found.get(account);
      if (row) return this.#isYoung(Number(row.columns.at)) ? jsonOf(row) : undefined;
      return untouched.has(account) ? nothing : undefined;
    };
    return { of, changed };
  }

  #isYoung(at: number): boolean {
    return Math.abs(this.#clock.now() - at) < believeMs;
  }
}

const nameOf = ({ name }: SummedAccount) => name;

/** Names from which and up to which to read, for those that are wanted: each a reading, none for names that nobody wants. */
function rangesOf(accounts: readonly SummedAccount[], wanted: ReadonlySet<string>): readonly [string, string][] {
  const names = accounts.map(nameOf).sort();
  const ranges: [string, string][] = [];
  for (let at = 0; at < names.length; at += perReading) {
    const some = names.slice(at, at + perReading).filter((name) => wanted.has(name));
    const [first] = some;
    if (first !== undefined) ranges.push([first, some.at(-1) ?? first]);
  }
  return ranges;
}
