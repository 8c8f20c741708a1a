import { StoreError } from '../store.ts';
import { type FetchRow, type ResponseCode, readExists, readFetchRow, readResponseCode, readSearch } from './answers.ts';
import { atom, type CommandNode, quoted, sequence } from './commands.ts';
import type { ImapConnection } from './connection.ts';
import { encodeFolderName } from './folder-name.ts';
import { commandError, readLibraryError } from './imap-errors.ts';
import { missingFolder } from './missing-folder.ts';
import { canonicalFolder, type ImapScope, parseUid } from './source-id.ts';
import { uidSets } from './uid-set.ts';

/** What the server said when the folder was opened. */
export interface OpenFolder extends ImapScope {
  readonly writable: boolean;
  readonly exists: number;
  /** The UID that the next mail will get; absent where the server does not tell. */
  readonly uidNext: number | undefined;
}

export interface SelectOptions {
  /** Flags are to be changed. Reading opens the folder by EXAMINE, which cannot change anything. */
  readonly writable?: boolean;
  /** The folder is opened again, so that UIDNEXT is of now. */
  readonly fresh?: boolean;
}

export interface FetchedRows {
  readonly rows: ReadonlyMap<number, FetchRow>;
  /** Mails that the server refuses to answer for, with its words. */
  readonly refused: ReadonlyMap<number, string>;
}

/** The folder a connection has open, and UID commands on it. Its methods are called inside `exclusive` only. */
export class Mailbox {
  readonly #connection: ImapConnection;
  #open: OpenFolder | undefined;

  constructor(connection: ImapConnection) {
    this.#connection = connection;
  }

  /** Opens a folder unless it is open. Throws `folderMissing`, and `protocol` where UIDVALIDITY is missing or invalid. */
  async select(name: string, signal: AbortSignal, options: SelectOptions = {}): Promise<OpenFolder> {
    const folder = canonicalFolder(name);
    const open = this.#open;
    const writable = options.writable === true;
    if (open?.folder === folder && !options.fresh && (open.writable || !writable)) return open;
    // A refused SELECT leaves no folder open (RFC 3501 section 6.3.1). Changing over by SELECT expunges nothing.
    this.#open = undefined;
    const opened = await this.#selectNow(folder, writable, signal);
    this.#open = opened;
    return opened;
  }

  async #selectNow(folder: string, writable: boolean, signal: AbortSignal): Promise<OpenFolder> {
    const codes = new Map<string, string | undefined>();
    let exists = 0;
    const command = writable ? 'SELECT' : 'EXAMINE';
    let tagged: ResponseCode | undefined;
    try {
      const { response } = await this.#connection.command(command, [quoted(encodeFolderName(folder))], signal, {
        OK: (answer) => {
          const code = readResponseCode(answer);
          if (code) codes.set(code.name, code.argument);
        },
        EXISTS: (answer) => {
          exists = readExists(answer) ?? exists;
        },
      });
      tagged = readResponseCode(response);
    } catch (error) {
      throw await this.#selectError(folder, error, signal);
    }
    const uidValidity = parseUid(codes.get('UIDVALIDITY'));
    if (uidValidity === undefined) {
      throw new StoreError('protocol', 'the server gives the folder no valid UIDVALIDITY', {
        code: 'UIDVALIDITY',
        hint: 'Mails cannot be told apart without it (RFC 3501 section 2.3.1.1). The server or the folder needs repair.',
      });
    }
    if (writable && tagged?.name === 'READ-ONLY') {
      throw new StoreError('permission', 'the server opens the folder for reading only', {
        code: 'READ-ONLY',
        hint: 'Give the user the right to change the folder, or leave mails as they are (markRead false, delete never).',
      });
    }
    return { folder, uidValidity, writable, exists, uidNext: parseUid(codes.get('UIDNEXT')) };
  }

  /** Servers that give no response code say NO to a missing folder as to any other trouble; the listing then tells. */
  async #selectError(folder: string, error: unknown, signal: AbortSignal): Promise<StoreError> {
    const failure = commandError(error, 'to open the folder');
    const { status, responseCode } = readLibraryError(error);
    const unclear = status === 'NO' && (responseCode === undefined || responseCode === 'CANNOT');
    if (failure.kind !== 'folderMissing' && !unclear) return failure;
    const missing = await missingFolder(this.#connection, folder, signal, responseCode);
    return missing ?? failure;
  }

  /** UID SEARCH for those of `uids` that are there. */
  async existing(uids: readonly number[], signal: AbortSignal): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    for (const set of uidSets(uids)) {
      for (const uid of await this.search([atom('UID'), sequence(set)], signal)) found.add(uid);
    }
    return found;
  }

  /** UID SEARCH; ascending. */
  async search(criteria: readonly CommandNode[], signal: AbortSignal): Promise<readonly number[]> {
    const found = new Set<number>();
    await this.refusable('UID SEARCH', criteria, signal, {
      SEARCH: (answer) => {
        for (const uid of readSearch(answer)) found.add(uid);
      },
    });
    return [...found].sort((a, b) => a - b);
  }

  /**
   * UID FETCH of `items`, by UID. Where the server refuses, the UIDs are halved until the mail that it stumbles over
   * stands alone; that one is `refused`, with the reason, and the others have their rows.
   */
  async fetchRows(uids: readonly number[], items: readonly CommandNode[], signal: AbortSignal): Promise<FetchedRows> {
    try {
      return { rows: await this.#fetchRowsNow(uids, items, signal), refused: new Map() };
    } catch (error) {
      const failure = commandError(error, 'to fetch mail');
      if (failure.kind !== 'protocol' || readLibraryError(error).status === undefined) throw failure;
      if (uids.length === 1) return { rows: new Map(), refused: new Map(uids.map((uid) => [uid, failure.message])) };
      const middle = Math.ceil(uids.length / 2);
      const left = await this.fetchRows(uids.slice(0, middle), items, signal);
      const right = await this.fetchRows(uids.slice(middle), items, signal);
      return {
        rows: new Map([...left.rows, ...right.rows]),
        refused: new Map([...left.refused, ...right.refused]),
      };
    }
  }

  async #fetchRowsNow(
    uids: readonly number[],
    items: readonly CommandNode[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, FetchRow>> {
    const wanted = new Set(uids);
    const rows = new Map<number, FetchRow>();
    for (const set of uidSets(uids)) {
      await this.#connection.command('UID FETCH', [sequence(set), items], signal, {
        // A change of flags by others comes as FETCH as well, so what is told about one mail is put together.
        FETCH: (answer) => {
          const row = readFetchRow(answer);
          if (row && wanted.has(row.uid)) rows.set(row.uid, { ...rows.get(row.uid), ...row });
        },
      });
    }
    return rows;
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

  /** One command for each set of UIDs that fits into a line. */
  async onUids(
    command: string,
    uids: readonly number[],
    rest: readonly CommandNode[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const set of uidSets(uids)) await this.refusable(command, [sequence(set), ...rest], signal);
  }
}
