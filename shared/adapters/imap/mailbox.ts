import type { StoreError } from '../store.ts';
import { askedSection, type FetchRow, mergeRows, readExists, readFetchRow, readSearch } from './answers.ts';
import { atom, type CommandNode, sequence } from './command-arguments.ts';
import type { ImapConnection, UntaggedHandlers } from './connection.ts';
import { commandError, readLibraryError, saysPassing } from './imap-errors.ts';
import { MAX_LINE, MAX_LITERAL } from './library-options.ts';
import { type OpenFolder, selectFolder } from './select-folder.ts';
import { canonicalFolder, encodeScope, type ImapScope } from './source-id.ts';
import { uidSets } from './store/uid-set.ts';

/** How a folder is opened. */
export interface SelectOptions {
  /** Flags are to be changed. Reading opens the folder by EXAMINE, which cannot change anything. */
  readonly writable?: boolean;
  /** The folder is opened again, so that UIDNEXT is of now; `unlessNew`: unless it was opened by the command before. */
  readonly fresh?: true | 'unlessNew';
}

/** What UID FETCH answers, by UID. */
export interface FetchedRows {
  readonly rows: ReadonlyMap<number, FetchRow>;
  /** Mails that the server refuses to answer for. */
  readonly refused: ReadonlyMap<number, Refusal>;
}

/** That the server refuses to answer for one mail. */
export interface Refusal {
  /** The server's. */
  readonly code: string;
  /** It says that this may pass, or it was not asked any more after it had refused others. */
  readonly passing: boolean;
}

/** Mails asked for alone, and refused, until the rest is no longer asked for: where it gives none, one by one is no use. */
const MAX_REFUSALS = 4;

/** Mails of a folder at most: nobody's is larger, and a server must not list for ever. */
export const MAX_MAILS = 1_000_000;

/** Whether a NO cannot be about one of several mails. */
function concernsAll({ kind, code }: StoreError): boolean {
  return kind === 'throttled' || kind === 'folderMissing' || code === 'NOPERM';
}

/** The folder a connection has open, and UID commands on it. Its methods are called inside `exclusive` only. */
export class Mailbox {
  readonly #connection: ImapConnection;
  readonly #epochs = new Map<string, number>();
  #open: OpenFolder | undefined;
  /** Commands that were sent until the folder was open. */
  #openedAfter = 0;

  constructor(connection: ImapConnection) {
    this.#connection = connection;
  }

  /** Opens a folder unless it is open. Throws `folderMissing`, and `protocol` where UIDVALIDITY is missing or invalid. */
  async select(name: string, signal: AbortSignal, options: SelectOptions = {}): Promise<OpenFolder> {
    const folder = canonicalFolder(name);
    const open = this.#open;
    const writable = options.writable === true;
    const isNew = this.#openedAfter === this.#connection.commands;
    const asWanted = options.fresh === undefined || (options.fresh === 'unlessNew' && isNew);
    if (open?.folder === folder && asWanted && (open.writable || !writable)) return open;
    // A refused SELECT leaves no folder open (RFC 3501 section 6.3.1). Changing over by SELECT expunges nothing.
    this.#open = undefined;
    const opened = await selectFolder(this.#connection, folder, { writable }, signal);
    this.#openedAfter = this.#connection.commands;
    const epoch = this.#epochs.get(encodeScope(opened));
    this.#open = epoch === undefined ? opened : { ...opened, epoch };
    return this.#open;
  }

  /** Notes the epoch of a folder's UIDs, for as long as the session lasts. */
  noteEpoch(scope: ImapScope, epoch: number): void {
    this.#epochs.set(encodeScope({ folder: scope.folder, uidValidity: scope.uidValidity }), epoch);
    if (this.#open && this.#open.folder === scope.folder) this.#open = { ...this.#open, epoch };
  }

  /** UID SEARCH for those of `uids` that are there. */
  async existing(uids: readonly number[], signal: AbortSignal): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    for (const set of uidSets(uids)) {
      for (const uid of await this.search([atom('UID'), sequence(set)], signal)) found.add(uid);
    }
    return found;
  }

  /** UIDs from `first` to `last` by UID FETCH, which is another answer than that of UID SEARCH; ascending. */
  async uidsBetween(first: number, last: number, signal: AbortSignal): Promise<readonly number[]> {
    const found = new Set<number>();
    const most = Math.min(last - first + 1, this.#open?.exists ?? MAX_MAILS, MAX_MAILS);
    this.#connection.expect(MAX_LINE + most * UID_ROW);
    await this.refusable('UID FETCH', [sequence(`${first}:${last}`), [atom('UID')]], signal, {
      FETCH: (answer) => {
        const uid = readFetchRow(answer)?.uid;
        if (uid !== undefined && uid >= first && uid <= last) found.add(uid);
      },
    });
    return [...found].sort((a, b) => a - b);
  }

  /**
   * FETCH of the mails that stand at these places in the folder (message sequence numbers, from 1). Their numbers hold for
   * this one command, since no EXPUNGE may come with it (RFC 3501 section 7.4.1).
   */
  async rowsAt(
    first: number,
    last: number,
    items: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly FetchRow[]> {
    const rows: FetchRow[] = [];
    await this.refusable(
      'FETCH',
      [sequence(first === last ? `${first}` : `${first}:${last}`), items.map(atom)],
      signal,
      {
        FETCH: (answer) => {
          const place = readExists(answer) ?? 0;
          const row = readFetchRow(answer);
          if (row && place >= first && place <= last) rows.push(row);
        },
      },
    );
    return rows;
  }

  /** UID SEARCH; ascending. */
  async search(criteria: readonly CommandNode[], signal: AbortSignal): Promise<readonly number[]> {
    const found = new Set<number>();
    this.#connection.expect(2 * MAX_LINE);
    await this.refusable('UID SEARCH', criteria, signal, {
      SEARCH: (answer) => {
        for (const uid of readSearch(answer)) found.add(uid);
      },
    });
    return [...found].sort((a, b) => a - b);
  }

  /**
   * UID FETCH of `items`, by UID. Where the server refuses, the UIDs are halved until the mail that it stumbles over
   * stands alone; that one is `refused`, with the reason, and the others have their rows. `rows`: gets them, and where
   * the line breaks, those that had come whole.
   */
  async fetchRows(
    uids: readonly number[],
    items: readonly CommandNode[],
    signal: AbortSignal,
    rows = new Map<number, FetchRow>(),
  ): Promise<FetchedRows> {
    const refused = new Map<number, Refusal>();
    const parts = [uids];
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const answered = new Map<number, FetchRow>();
      const keep = () => {
        for (const [uid, row] of answered) rows.set(uid, row);
      };
      try {
        await this.#fetchRowsNow(part, items, signal, answered);
        keep();
      } catch (error) {
        const failure = commandError(error, 'to fetch mail');
        if (failure.kind !== 'protocol' || readLibraryError(error).status === undefined) {
          // Of a server that answers without end nothing is believed.
          if (failure.code !== 'ANSWER_SIZE') keep();
          throw failure;
        }
        const code = failure.code ?? 'NO';
        const passing = saysPassing(error);
        if (part.length > 1) {
          const middle = Math.ceil(part.length / 2);
          parts.unshift(part.slice(0, middle), part.slice(middle));
          continue;
        }
        for (const uid of part) refused.set(uid, { code, passing });
        if (rows.size > 0 || refused.size < MAX_REFUSALS) continue;
        for (const uid of parts.splice(0).flat()) refused.set(uid, { code, passing: true });
      }
    }
    return { rows, refused };
  }

  async #fetchRowsNow(
    uids: readonly number[],
    items: readonly CommandNode[],
    signal: AbortSignal,
    rows: Map<number, FetchRow>,
  ): Promise<void> {
    const wanted = new Set(uids);
    const asked = askedSection(items);
    for (const set of uidSets(uids)) {
      this.#connection.expect(answerOctets(uids.length, items));
      await this.#connection.command('UID FETCH', [sequence(set), items], signal, {
        // A change of flags by others comes as FETCH as well, so what several answers say of one mail is put together.
        FETCH: (answer) => {
          const row = readFetchRow(answer, asked);
          if (row && wanted.has(row.uid)) rows.set(row.uid, mergeRows(rows.get(row.uid), row));
        },
      });
    }
  }

  /**
   * Adds a flag. `named`: the mails that have it by what the server tells, so they are there; it may leave out those that had
   * it before. Refusals as in `onUids`.
   */
  async addFlag(
    uids: readonly number[],
    flag: string,
    signal: AbortSignal,
  ): Promise<{ readonly named: ReadonlySet<number>; readonly refused: ReadonlyMap<number, StoreError> }> {
    const named = new Set<number>();
    const refused = await this.onUids('UID STORE', uids, [atom('+FLAGS'), [atom(flag)]], {
      signal,
      handlers: {
        FETCH: (answer) => {
          const row = readFetchRow(answer);
          if (row?.flags?.has(flag.toLowerCase())) named.add(row.uid);
        },
      },
    });
    return { named, refused };
  }

  /** A command whose refusal is a StoreError. */
  async refusable(
    command: string,
    attributes: readonly CommandNode[],
    signal: AbortSignal,
    handlers: Parameters<ImapConnection['command']>[3] = {},
  ): Promise<void> {
    try {
      await this.#connection.command(command, attributes, signal, handlers);
    } catch (error) {
      throw commandError(error, command);
    }
  }

  /**
   * A command on UIDs, as one or several lines. Where the server refuses, the UIDs are halved until those that it refuses
   * stand alone; these are answered, with the refusal. Throws what concerns all of them: a lost connection, throttling, a missing folder or
   * right. After some refusals and no success in a row the others are taken for refused as well.
   */
  async onUids(
    command: string,
    uids: readonly number[],
    parameters: readonly CommandNode[],
    { signal, handlers = {} }: { readonly signal: AbortSignal; readonly handlers?: UntaggedHandlers },
  ): Promise<ReadonlyMap<number, StoreError>> {
    const refused = new Map<number, StoreError>();
    let inRow = 0;
    let last: StoreError | undefined;
    const parts = [uids];
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      if (last && inRow >= MAX_REFUSALS) {
        for (const uid of part) refused.set(uid, last);
        continue;
      }
      try {
        for (const set of uidSets(part)) {
          this.#connection.expect(MAX_LINE + part.length * ROW);
          await this.#connection.command(command, [sequence(set), ...parameters], signal, handlers);
        }
        inRow = 0;
      } catch (error) {
        const failure = commandError(error, command);
        if (readLibraryError(error).status === undefined || concernsAll(failure)) throw failure;
        if (part.length > 1) {
          const middle = Math.ceil(part.length / 2);
          parts.unshift(part.slice(0, middle), part.slice(middle));
          continue;
        }
        for (const uid of part) refused.set(uid, failure);
        last = failure;
        inRow += 1;
      }
    }
    return refused;
  }
}

/** Octets of a row of a UID alone. */
const UID_ROW = 64;
/** Octets of a row without a body at most: numbers, a date, flags. */
const ROW = 4 * 1024;
/** Octets of a whole mail that is asked for together with others: they are counted as small (see `fetchMails`). */
const WHOLE_MAIL = 256 * 1024;

/**
 * Octets that answers to a FETCH may have: what is asked for, and once more the largest literal there may be, of a server
 * that knows no partial fetch or counts wrongly.
 */
function answerOctets(mails: number, items: readonly CommandNode[]): number {
  const body = items.find((item) => 'value' in item && item.section !== undefined);
  const each = body === undefined ? 0 : ('value' in body && body.partial?.[1]) || WHOLE_MAIL;
  return MAX_LINE + (body === undefined ? 0 : MAX_LITERAL) + mails * (ROW + each);
}
