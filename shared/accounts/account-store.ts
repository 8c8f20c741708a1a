import { randomUUID } from 'node:crypto';
import { HttpProblem, type Mistake } from '../http/problem.ts';
import type { Clock } from '../platform/clock.ts';
import { jsonColumns, jsonOf, type Row, RowConflict, type RowTable } from '../platform/rows.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { type Account, resolveAccount } from './rules.ts';

export interface StoredAccount {
  readonly account: Account;
  /** Mail received before this instant (ms) is not imported; `since: "now"` is fixed when it is first saved. */
  readonly sinceAt: number | undefined;
  /** Strong entity tag, with its quotes (RFC 9110 section 8.8.3). */
  readonly etag: string;
}

interface Options {
  readonly signal: AbortSignal;
}

/** A condition on the account's present state, from If-Match and If-None-Match; throws HttpProblem 412 itself. */
export type Precondition = (currentEtag: string | undefined) => void;

export interface SavedAccount extends StoredAccount {
  readonly created: boolean;
  readonly warnings: readonly Mistake[];
}

const partition = 'accounts';

/** How long a process uses an account without reading it again. Disposal reads it fresh (see `fresh`). */
const cacheMs = 5_000;

/** Accounts at most in a listing; more than any mail service of this kind has. */
export const maxAccounts = 10_000;

/** Where accounts are kept: one row each. A deleted account leaves its row behind, so that its mails are still found. */
export class AccountStore {
  readonly #rows: RowTable;
  readonly #secrets: SecretStore;
  readonly #clock: Clock;
  readonly #cache = new Map<string, { stored: StoredAccount | undefined; at: number }>();

  constructor(rows: RowTable, secrets: SecretStore, clock: Clock) {
    this.#rows = rows;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The account, read now. */
  async fresh(name: string, options: Options): Promise<StoredAccount | undefined> {
    const row = await this.#rows.get(partition, name, options);
    const stored = row && !isDeleted(row) ? storedOf(row) : undefined;
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
      throw new HttpProblem(404, 'There is no account of this name.');
    }
    return stored;
  }

  async list(options: Options): Promise<readonly StoredAccount[]> {
    const accounts: StoredAccount[] = [];
    for await (const row of this.#rows.prefix(partition, '', { signal: options.signal, top: maxAccounts })) {
      if (!isDeleted(row)) {
        accounts.push(storedOf(row));
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

  /** Saves an account. Throws HttpProblem 400 with every mistake, 412 where the precondition does not hold. */
  async save(name: string, input: unknown, precondition: Precondition, options: Options): Promise<SavedAccount> {
    const { account, warnings } = resolveAccount(name, input);
    const row = await this.#rows.get(partition, name, options);
    const before = row && !isDeleted(row) ? storedOf(row) : undefined;
    precondition(before?.etag);
    const sinceAt = this.#sinceOf(account, before);
    const version = randomUUID();
    const columns = { ...jsonColumns(account), version, sinceAt, deleted: false };
    try {
      await this.#rows.write(partition, [
        row ? { kind: 'replace', key: name, columns, etag: row.etag } : { kind: 'insert', key: name, columns },
      ]);
    } catch (error) {
      if (error instanceof RowConflict) {
        const now = await this.#rows.get(partition, name, options);
        if (now?.columns.version !== version) {
          throw new HttpProblem(412, 'The account was changed by somebody else meanwhile.');
        }
      } else {
        throw error;
      }
    }
    this.#cache.delete(name);
    return {
      account,
      sinceAt,
      etag: `"${version}"`,
      created: before === undefined,
      warnings: [...warnings, ...(await this.#missingSecrets(account, options))],
    };
  }

  /** Deletes an account and keeps what it imported. Throws HttpProblem 404, 412. */
  async delete(name: string, precondition: Precondition, options: Options): Promise<void> {
    const row = await this.#rows.get(partition, name, options);
    if (!row || isDeleted(row)) {
      throw new HttpProblem(404, 'There is no account of this name.');
    }
    precondition(storedOf(row).etag);
    try {
      await this.#rows.write(partition, [
        { kind: 'merge', key: name, columns: { deleted: true, version: randomUUID() }, etag: row.etag },
      ]);
    } catch (error) {
      if (error instanceof RowConflict) {
        throw new HttpProblem(412, 'The account was changed by somebody else meanwhile.');
      }
      throw error;
    } finally {
      this.#cache.delete(name);
    }
  }

  #sinceOf(account: Account, before: StoredAccount | undefined): number | undefined {
    const { since } = account.import;
    if (since === 'all') {
      return undefined;
    }
    if (since === 'now') {
      return before?.account.import.since === 'now' && before.sinceAt !== undefined
        ? before.sinceAt
        : this.#clock.now();
    }
    return Date.parse(since);
  }

  /** A secret may be written after the account that names it, but that is worth a word. */
  async #missingSecrets(account: Account, options: Options): Promise<readonly Mistake[]> {
    const warnings: Mistake[] = [];
    for (const side of ['transport', 'store'] as const) {
      const auth = account[side]?.auth;
      if (auth?.type !== 'password') {
        continue;
      }
      const pointer = `/${side}/auth/secret`;
      try {
        if ((await this.#secrets.expiry(auth.secret, options)) === undefined) {
          warnings.push({ pointer, detail: 'the secret is not in Key Vault yet' });
        }
      } catch {
        warnings.push({ pointer, detail: 'Key Vault could not be asked for the secret' });
      }
    }
    return warnings;
  }
}

function isDeleted(row: Row): boolean {
  return row.columns.deleted === true;
}

function storedOf(row: Row): StoredAccount {
  const { sinceAt, version } = row.columns;
  return {
    // What was saved by an earlier version is brought to today's form by the same rules.
    account: resolveAccount(row.key, jsonOf(row)).account,
    sinceAt: typeof sinceAt === 'number' ? sinceAt : undefined,
    etag: `"${String(version)}"`,
  };
}
