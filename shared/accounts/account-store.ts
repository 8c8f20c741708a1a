import { randomUUID } from 'node:crypto';
import { badInput, HttpProblem, type Mistake } from '../http/problem.ts';
import { peek } from '../http/validation.ts';
import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { jsonColumns, jsonOf, type Row, RowConflict, type RowTable, type RowWrite } from '../platform/rows.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { accountNameSchema } from './model.ts';
import { type Account, resolveAccount, secretsOf } from './rules.ts';

export interface StoredAccount {
  readonly account: Account;
  /** Mail received before this instant (ms) is not imported; `since: "now"` is fixed when it is first saved. */
  readonly sinceAt: number | undefined;
  /** When it was added, in ms; 0 where that was not noted. */
  readonly createdAt: number;
  /** Strong entity tag, with its quotes (RFC 9110 section 8.8.3). */
  readonly etag: string;
}

interface Options {
  readonly signal: AbortSignal;
}

interface Change<T> {
  readonly write: Exclude<RowWrite, { readonly kind: 'delete' }>;
  readonly answer: T;
}

/** A condition on the account's present state, from If-Match and If-None-Match; throws HttpProblem 412 itself. */
export type Precondition = (currentEtag: string | undefined) => void;

export interface SavedAccount extends StoredAccount {
  readonly created: boolean;
  readonly warnings: readonly Mistake[];
}

const partition = 'accounts';

/** How often a change is tried against others that are made at the same time. */
const maxRounds = 20;

/** How long a process uses an account without reading it again. Disposal reads it fresh (see `fresh`). */
const cacheMs = 5_000;

/** A dialogue in the log is for finding a fault, and ends by itself. */
const debugMs = 3_600_000;

/** Accounts at most in a listing; more than any mail service of this kind has. */
export const maxAccounts = 10_000;

/** Where accounts are kept: one row each. A deleted account leaves its row behind, so that its mails are still found. */
export class AccountStore {
  readonly #rows: RowTable;
  readonly #secrets: SecretStore;
  readonly #clock: Clock;
  readonly #cache = new Map<string, { stored: StoredAccount; at: number }>();

  constructor(rows: RowTable, secrets: SecretStore, clock: Clock) {
    this.#rows = rows;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The account, read now. */
  async fresh(name: string, options: Options): Promise<StoredAccount | undefined> {
    const row = await this.#row(name, options);
    if (!row || isDeleted(row)) {
      // Not remembered: callers may ask for any number of names.
      this.#cache.delete(name);
      return undefined;
    }
    const stored = storedOf(row, this.#clock.now());
    this.#cache.set(name, { stored, at: this.#clock.now() });
    return stored;
  }

  /** The account, as it was at most five seconds ago. */
  async find(name: string, options: Options): Promise<StoredAccount | undefined> {
    const cached = this.#cache.get(name);
    return cached && Math.abs(this.#clock.now() - cached.at) < cacheMs
      ? cached.stored
      : await this.fresh(name, options);
  }

  /** The account. Throws HttpProblem 404. */
  async get(name: string, options: Options): Promise<StoredAccount> {
    const stored = await this.fresh(name, options);
    if (!stored) {
      throw notThere();
    }
    return stored;
  }

  async list(options: Options): Promise<readonly StoredAccount[]> {
    const accounts: StoredAccount[] = [];
    for await (const row of this.#rows.prefix(partition, '', { signal: options.signal, top: maxAccounts })) {
      if (!isDeleted(row)) {
        try {
          accounts.push(storedOf(row, this.#clock.now()));
        } catch (error) {
          // The others must go on working.
          log.error('account.unreadable', { account: row.key, error: errorText(error) });
        }
      }
    }
    return accounts;
  }

  /** Names of all accounts there are or were: the partitions in which messages and assets may lie. */
  async everyName(options: Options): Promise<readonly string[]> {
    const names: string[] = [];
    const rows = this.#rows.prefix(partition, '', { select: ['deleted'], signal: options.signal, top: maxAccounts });
    for await (const row of rows) {
      names.push(row.key);
    }
    return names;
  }

  /** Throws HttpProblem 412 where the precondition does not hold now; `save` asks again as it writes. */
  async check(name: string, precondition: Precondition, options: Options): Promise<void> {
    const row = await this.#row(name, options);
    precondition(row && !isDeleted(row) ? etagOf(row) : undefined);
  }

  /** Saves an account. Throws HttpProblem 400 with every mistake, 412 where the precondition does not hold. */
  async save(name: string, input: unknown, precondition: Precondition, options: Options): Promise<SavedAccount> {
    const { account, warnings } = resolveAccount(name, input);
    await this.#refuseOthersSecrets(account, options);
    const version = randomUUID();
    const saved = await this.#change(name, options, (row) => {
      const there = row && !isDeleted(row) ? row : undefined;
      precondition(there && etagOf(there));
      const sinceAt = this.#sinceOf(account, there);
      const debugUntil = account.debug ? this.#clock.now() + debugMs : undefined;
      const createdAt = there ? createdAtOf(there) : this.#clock.now();
      const columns = { ...jsonColumns(account), version, sinceAt, debugUntil, createdAt, deleted: false };
      return {
        write: row ? { kind: 'replace', key: name, columns, etag: row.etag } : { kind: 'insert', key: name, columns },
        answer: { created: there === undefined, sinceAt, createdAt },
      };
    });
    return {
      account,
      ...saved,
      etag: `"${version}"`,
      warnings: [...warnings, ...(await this.#missingSecrets(account, options))],
    };
  }

  /** Deletes an account and keeps what it imported. Throws HttpProblem 404, 412. */
  async delete(name: string, precondition: Precondition, options: Options): Promise<void> {
    const version = randomUUID();
    await this.#change(name, options, (row) => {
      if (!row || isDeleted(row)) {
        throw notThere();
      }
      precondition(etagOf(row));
      return {
        write: { kind: 'merge', key: name, columns: { deleted: true, version }, etag: row.etag },
        answer: undefined,
      };
    });
  }

  async #row(name: string, options: Options): Promise<Row | undefined> {
    return accountNameSchema.safeParse(name).success ? await this.#rows.get(partition, name, options) : undefined;
  }

  /**
   * Writes what `decide` makes of the row as it is; where somebody else is faster, `decide` is asked again, so that of
   * two callers without a precondition the later one wins. Throws what `decide` throws.
   */
  async #change<T>(name: string, options: Options, decide: (row: Row | undefined) => Change<T>): Promise<T> {
    for (let round = 1; round <= maxRounds; round += 1) {
      const { write, answer } = decide(await this.#row(name, options));
      try {
        await this.#rows.write(partition, [write]);
        return answer;
      } catch (error) {
        if (!(error instanceof RowConflict)) {
          throw error;
        }
        // Storage may have carried out the write and the SDK repeated it: then the row has our version.
        if ((await this.#row(name, options))?.columns.version === write.columns.version) {
          return answer;
        }
      } finally {
        this.#cache.delete(name);
      }
    }
    throw new HttpProblem(409, 'The account is being changed by others; try again.');
  }

  #sinceOf(account: Account, before: Row | undefined): number | undefined {
    const { since } = account.import;
    if (since === 'all') {
      return undefined;
    }
    if (since === 'now') {
      const fixed = before && peek(jsonOf(before), ['import', 'since']) === 'now' ? before.columns.sinceAt : undefined;
      return typeof fixed === 'number' ? fixed : this.#clock.now();
    }
    return Date.parse(since);
  }

  /**
   * The other account that a secret belongs to by its name: `corpus-two-imap` begins with `corpus-` and is still the
   * secret of `corpus-two`, where there is one.
   */
  async ownerOf(secret: string, name: string, options: Options): Promise<string | undefined> {
    const ends = [...secret.matchAll(/-/g)].map(({ index }) => index).filter((index) => index > name.length);
    for (const end of ends) {
      const other = secret.slice(0, end);
      const row = await this.#row(other, options);
      if (row && !isDeleted(row)) {
        return other;
      }
    }
    return undefined;
  }

  async #refuseOthersSecrets(account: Account, options: Options): Promise<void> {
    const mistakes: Mistake[] = [];
    for (const { pointer, name } of secretsOf(account)) {
      const owner = await this.ownerOf(name, account.name, options);
      if (owner !== undefined) {
        mistakes.push({ pointer, detail: `is a secret of the account ${owner}` });
      }
    }
    if (mistakes.length > 0) {
      throw badInput(mistakes);
    }
  }

  /** A secret may be written after the account that names it, but that is worth a word. */
  async #missingSecrets(account: Account, options: Options): Promise<readonly Mistake[]> {
    const warnings: Mistake[] = [];
    for (const { pointer, name } of secretsOf(account)) {
      try {
        if ((await this.#secrets.expiry(name, options)) === undefined) {
          warnings.push({ pointer, detail: 'the secret is not in Key Vault yet' });
        }
      } catch {
        warnings.push({ pointer, detail: 'Key Vault could not be asked for the secret' });
      }
    }
    return warnings;
  }
}

function createdAtOf(row: Row): number {
  const { createdAt } = row.columns;
  return typeof createdAt === 'number' ? createdAt : 0;
}

function isDeleted(row: Row): boolean {
  return row.columns.deleted === true;
}

/** Throws where this version cannot read what another version saved. */
function storedOf(row: Row, now: number): StoredAccount {
  const { sinceAt, debugUntil } = row.columns;
  const account = resolvedOf(row);
  const debug = account.debug && typeof debugUntil === 'number' && now < debugUntil;
  return {
    account: { ...account, debug },
    sinceAt: typeof sinceAt === 'number' ? sinceAt : undefined,
    createdAt: createdAtOf(row),
    etag: etagOf(row),
  };
}

/** What was saved by an earlier version is brought to today's form by the same rules. */
function resolvedOf(row: Row): Account {
  try {
    return resolveAccount(row.key, jsonOf(row)).account;
  } catch (error) {
    // The caller who reads it has made no mistake.
    const fields = error instanceof HttpProblem ? error.errors?.map(({ pointer }) => pointer).join(' ') : undefined;
    throw new Error(`Account ${row.key} cannot be read as it is stored${fields ? `: ${fields}` : ''}`, {
      cause: error,
    });
  }
}

function etagOf(row: Row): string {
  return `"${String(row.columns.version)}"`;
}

function notThere(): HttpProblem {
  return new HttpProblem(404, 'There is no account of this name.');
}
