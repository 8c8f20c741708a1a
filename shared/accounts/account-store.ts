import { randomUUID } from 'node:crypto';
import type { TargetNetwork } from '../events/webhooks/target-network.ts';
import type { Clock } from '../platform/clock.ts';
import { errorText, log } from '../platform/log.ts';
import { type Mistake, Refusal } from '../platform/refusal.ts';
import { jsonColumns, type Row, RowConflict, type Rows, type RowWrite } from '../platform/rows.ts';
import type { BoundSecrets } from '../secrets/bound-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import {
  etagOf,
  isDeleted,
  type KnownDestinations,
  keptColumns,
  knownDestinationsOf,
  lastKnownDestinationsOf,
  type StoredAccount,
  sinceColumns,
  storedOf,
  summedColumns,
  summedOf,
} from './account-row.ts';
import type { SummedAccount } from './account-summaries.ts';
import { confirmDestinations, secretsOf, waitingWarnings } from './destinations.ts';
import { accountsPartition } from './keys.ts';
import { accountNameSchema } from './model.ts';
import { checkNamedSecrets, claimSecrets, missingWarnings } from './named-secrets.ts';
import { resolveAccount } from './rules.ts';
import { webhookWarnings } from './webhook-target.ts';

export type { StoredAccount } from './account-row.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** How an account is saved. */
export interface SaveOptions extends Options {
  /** Names of secrets that are written together with this change. */
  readonly written?: readonly string[];
  /** Whether the caller may write secrets, and so decide where they are sent. Asked only where it matters. */
  readonly mayWriteSecrets?: () => Promise<boolean>;
  /** Nothing is stored: the answer is what it would be. */
  readonly dryRun?: boolean;
}

interface Change<T> {
  /** Undefined: there is nothing to write. */
  readonly write: Exclude<RowWrite, { readonly kind: 'delete' }> | undefined;
  readonly answer: T;
}

/** A condition on the account's present state, from If-Match and If-None-Match; throws Refusal `changed` itself. */
export type Precondition = (currentEtag: string | undefined) => void;

/** An account that was saved, or would be. */
export interface SavedAccount extends StoredAccount {
  readonly created: boolean;
  readonly warnings: readonly Mistake[];
}

/** How often a change is tried while others change the same account. */
const maxRounds = 20;

/** How long a process uses an account without reading it again. Disposal reads it fresh (see `fresh`). */
const cacheMs = 5_000;

/** `debug` is for finding a fault, and is switched off by itself after this time. */
const debugMs = 3_600_000;

/** Accounts at most in a listing, deleted ones included; ten thousand that are used leave room for many of those. */
const maxAccounts = 50_000;

/** What accounts name, and by what they are checked as they are saved. */
export interface AccountUses {
  readonly secrets: SecretStore;
  /** Which account each secret belongs to; it reads accounts in turn. */
  readonly bound: () => BoundSecrets;
  /** Which targets a webhook may have. */
  readonly webhookTargets: Pick<TargetNetwork, 'check'>;
  /** Microsoft Graph can call the app. */
  readonly reachable: boolean;
}

/** Where accounts are kept: one row each. A deleted account leaves its row behind, so that its mails are still found. */
export class AccountStore {
  readonly #rows: Rows;
  readonly #uses: AccountUses;
  readonly #clock: Clock;
  readonly #cache = new Map<string, { stored: StoredAccount; known: KnownDestinations; at: number }>();

  constructor(rows: Rows, uses: AccountUses, clock: Clock) {
    this.#rows = rows;
    this.#uses = uses;
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
    this.#cache.set(name, { stored, known: knownDestinationsOf(row), at: this.#clock.now() });
    return stored;
  }

  /** The account, as it was at most five seconds ago. */
  async find(name: string, options: Options): Promise<StoredAccount | undefined> {
    return this.#cached(name)?.stored ?? (await this.fresh(name, options));
  }

  #cached(name: string) {
    const cached = this.#cache.get(name);
    return cached && Math.abs(this.#clock.now() - cached.at) < cacheMs ? cached : undefined;
  }

  /** The account; `recent`: as it was at most five seconds ago. Throws Refusal `notFound`. */
  async get(name: string, options: Options & { readonly recent?: boolean }): Promise<StoredAccount> {
    const stored = options.recent ? await this.find(name, options) : await this.fresh(name, options);
    if (!stored) {
      throw notFound();
    }
    return stored;
  }

  async list(options: Options): Promise<readonly StoredAccount[]> {
    const accounts: StoredAccount[] = [];
    for await (const row of this.#rows.prefix(accountsPartition, '', { signal: options.signal, top: maxAccounts })) {
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
    return (await this.everyOne(options)).map(({ name }) => name);
  }

  /** All accounts there are or were, with what is known of each without reading more. */
  async everyOne(options: Options): Promise<readonly SummedAccount[]> {
    const range = { select: summedColumns, signal: options.signal, top: maxAccounts };
    const found: SummedAccount[] = [];
    for await (const row of this.#rows.prefix(accountsPartition, '', range)) found.push(summedOf(row));
    return found;
  }

  /**
   * Notes that imports of these accounts were queued at `at` (ms since the epoch): one transaction, for at most 100. Their
   * entity tags stay as they are. Throws storage's trouble.
   */
  async noteQueued(names: readonly string[], at: number): Promise<void> {
    const writes = names.map((name) => ({ kind: 'merge', key: name, columns: { queuedAt: at } }) as const);
    await this.#rows.write(accountsPartition, writes);
  }

  /** Throws Refusal `changed` where the precondition does not hold now; `save` asks again as it writes. */
  async check(name: string, precondition: Precondition, options: Options): Promise<void> {
    const row = await this.#row(name, options);
    precondition(row && !isDeleted(row) ? etagOf(row) : undefined);
  }

  /** Where an account's secrets may be sent, as of at most five seconds ago; also those of a deleted account. */
  async knownDestinations(name: string, options: Options): Promise<KnownDestinations | undefined> {
    const cached = this.#cached(name);
    if (cached) return cached.known;
    const row = await this.#row(name, options);
    return row && knownDestinationsOf(row);
  }

  /** Of the accounts that name a secret, the one that was added first. */
  async firstNaming(secret: string, options: Options): Promise<string | undefined> {
    const key = secret.toLowerCase();
    const naming = (await this.list(options)).filter(({ account }) =>
      secretsOf(account).some(({ destination }) => destination.secret === key),
    );
    return naming.sort((a, b) => a.createdAt - b.createdAt)[0]?.account.name;
  }

  /**
   * Saves an account. Throws Refusal `invalid` with every mistake, `changed` where the precondition does not hold; nothing is
   * stored then.
   */
  async save(name: string, input: unknown, precondition: Precondition, options: SaveOptions): Promise<SavedAccount> {
    const { account, warnings } = resolveAccount(name, input, this.#uses);
    const target = await webhookWarnings(account, this.#uses.webhookTargets, options.signal);
    const named = await checkNamedSecrets(account, options.written ?? [], this.#secretsContext(), options.signal);
    const present = new Set(named.filter((each) => each.exists !== false).map((each) => each.destination.secret));
    const written = new Set(options.written?.map((secret) => secret.toLowerCase()));
    const version = randomUUID();
    const saved = await this.#change(name, options, async (row) => {
      const existing = row && !isDeleted(row) ? row : undefined;
      precondition(existing && etagOf(existing));
      const change = { before: row && lastKnownDestinationsOf(row), next: account, present };
      let confirmed = confirmDestinations({ ...change, confirmed: written });
      if (confirmed.waiting.length > 0 && (await options.mayWriteSecrets?.()) === true)
        confirmed = confirmDestinations({ ...change, confirmed: 'all' });
      const since = sinceColumns(account, existing);
      const debugUntil = account.debug ? this.#clock.now() + debugMs : undefined;
      const kept = keptColumns(row, this.#clock.now());
      const destinations = JSON.stringify(confirmed.known);
      const fields = { ...jsonColumns(account), version, ...since, debugUntil, ...kept };
      const columns = { ...fields, destinations, deleted: false };
      return {
        write: row ? { kind: 'replace', key: name, columns, etag: row.etag } : { kind: 'insert', key: name, columns },
        answer: { created: existing === undefined, ...since, ...kept, waiting: confirmed.waiting },
      };
    });
    const { waiting, ...stored } = saved;
    if (options.dryRun !== true) await claimSecrets(account, named, this.#secretsContext(), options.signal);
    return {
      account,
      ...stored,
      etag: `"${version}"`,
      warnings: [...warnings, ...target, ...missingWarnings(named, written), ...waitingWarnings(waiting)],
    };
  }

  /** The account's secret was written again: it may be sent to every endpoint that names it now. */
  async confirm(name: string, secret: string, options: Options): Promise<void> {
    const key = secret.toLowerCase();
    await this.#change(name, options, (row) => {
      if (!row) return { write: undefined, answer: undefined };
      const { endpoints, known } = lastKnownDestinationsOf(row);
      const naming = secretsOf(endpoints).map(({ destination }) => destination);
      const isIts = (each: { readonly secret: string }) => each.secret === key;
      const confirmed = [...known.filter((each) => !isIts(each)), ...naming.filter(isIts)];
      const columns = { destinations: JSON.stringify(confirmed) };
      return { write: { kind: 'merge', key: name, columns, etag: row.etag }, answer: undefined };
    });
  }

  /** Deletes an account and keeps what it imported. Throws Refusal `notFound`, and what the precondition throws. */
  async delete(name: string, precondition: Precondition, options: Options): Promise<void> {
    const version = randomUUID();
    await this.#change(name, options, (row) => {
      if (!row || isDeleted(row)) {
        throw notFound();
      }
      precondition(etagOf(row));
      return {
        write: { kind: 'merge', key: name, columns: { deleted: true, version }, etag: row.etag },
        answer: undefined,
      };
    });
  }

  #secretsContext() {
    return { secrets: this.#uses.secrets, bound: this.#uses.bound() };
  }

  async #row(name: string, options: Options): Promise<Row | undefined> {
    return accountNameSchema.safeParse(name).success
      ? await this.#rows.get(accountsPartition, name, options)
      : undefined;
  }

  /**
   * Writes what `decide` makes of the row as it is; where somebody else is faster, `decide` is asked again, so that of
   * two callers without a precondition the later one wins. Throws what `decide` throws.
   */
  async #change<T>(
    name: string,
    options: Options & { readonly dryRun?: boolean },
    decide: (row: Row | undefined) => Change<T> | Promise<Change<T>>,
  ): Promise<T> {
    for (let round = 1; round <= maxRounds; round += 1) {
      const { write, answer } = await decide(await this.#row(name, options));
      if (!write || options.dryRun === true) return answer;
      try {
        await this.#rows.write(accountsPartition, [write]);
        return answer;
      } catch (error) {
        if (!(error instanceof RowConflict)) {
          throw error;
        }
      } finally {
        this.#cache.delete(name);
      }
    }
    throw changedByOthers();
  }
}

function changedByOthers(): Refusal {
  return new Refusal('conflict', 'The account is being changed by others; try again.');
}

function notFound(): Refusal {
  return new Refusal('notFound', 'There is no account of this name.');
}
