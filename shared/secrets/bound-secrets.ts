import { errorText, log } from '../platform/log.ts';
import { LruMap } from '../platform/lru-map.ts';
import { Refusal } from '../platform/refusal.ts';
import { RowConflict, type RowTable } from '../platform/rows.ts';
import {
  SecretMissing,
  type SecretOptions,
  type SecretReceipt,
  type SecretStore,
  type SecretTags,
  SecretWithheld,
} from './secret-store.ts';

/** How an account uses a secret. */
export type SecretKind = 'password' | 'clientSecret' | 'certificate' | 'webhook';

/** Whose a secret is. */
export interface SecretOwner {
  readonly account: string;
  /** Absent until an account has used it. */
  readonly kind?: string;
}

/** Which account uses a secret, and how. */
export interface SecretUse {
  readonly account: string;
  readonly kind: SecretKind;
}

const partition = 'secrets';

/** How long a process believes what it noted of an owner. */
const believeMs = 60_000;

/** Owners remembered per process. */
const maxNoted = 1_000;

/** How long a process that may not write tags leaves it. */
const tagAgainMs = 3_600_000;

const keyOf = (name: string): string => name.toLowerCase();

const kindNames: ReadonlyMap<string, string> = new Map<SecretKind, string>([
  ['password', 'a password'],
  ['clientSecret', 'a client secret'],
  ['certificate', 'a certificate'],
  ['webhook', 'a secret of a webhook'],
]);

const kindName = (kind: string): string => kindNames.get(kind) ?? `of kind ${kind.slice(0, 32)}`;

/**
 * Secrets that are bound to one account and one kind of use, by the tags `account` and `kind` in Key Vault. They are
 * written with the value and checked at every read. A secret without them, made or rotated by hand, belongs to the
 * account that is noted for its name in the table; where none is noted, to the first account that uses it. The note is
 * kept beside the tags, because a version that is made by hand has none.
 */
export class BoundSecrets {
  readonly #store: SecretStore;
  readonly #rows: RowTable;
  readonly #firstUser: (secret: string, options: SecretOptions) => Promise<string | undefined>;
  readonly #noted = new LruMap<string, { readonly owner: SecretOwner; readonly at: number }>({ max: maxNoted });
  #noTagsUntil = 0;

  /** `firstUser`: the account that names a secret longest, if any does. */
  constructor(
    store: SecretStore,
    rows: RowTable,
    firstUser: (secret: string, options: SecretOptions) => Promise<string | undefined>,
  ) {
    this.#store = store;
    this.#rows = rows;
    this.#firstUser = firstUser;
  }

  /** The value, for this use. Throws SecretMissing, or SecretWithheld where it is another's or of another kind. */
  async read(name: string, use: SecretUse, options: SecretOptions = {}): Promise<string> {
    const { value, tags } = await this.#store.read(name, options);
    await this.#bind(name, tags, use, options);
    return value;
  }

  /**
   * The values of the versions that were current at `since` (ms since the epoch) or later, the newest first, for this use.
   * Versions that are tagged as another's are left out. Throws as `read`.
   */
  async readRecent(
    name: string,
    use: SecretUse,
    since: number,
    options: SecretOptions = {},
  ): Promise<readonly string[]> {
    const [current, ...before] = await this.#store.recent(name, since, options);
    if (!current) return [];
    await this.#bind(name, current.tags, use, options);
    const own = before.filter(({ tags }) => (tagged(tags)?.account ?? use.account) === use.account);
    return [current, ...own].map(({ value }) => value);
  }

  /** Binds a secret that is there to its first use. Throws as `read`. */
  async claim(name: string, use: SecretUse, options: SecretOptions = {}): Promise<void> {
    await this.read(name, use, options);
  }

  /** Whose a secret is; undefined where nobody has used it yet. */
  async ownerOf(name: string, options: SecretOptions = {}): Promise<SecretOwner | undefined> {
    const tags = await this.#tagsOf(name, options);
    return (tags && tagged(tags)) ?? (await this.#note(name, options));
  }

  /** Why an account cannot use a secret, as words for a person; undefined where it can. */
  async objection(name: string, use: SecretUse, options: SecretOptions = {}): Promise<string | undefined> {
    const owner = await this.ownerOf(name, options);
    return owner && objection(owner, use);
  }

  /**
   * Writes a value for an account; without `kind` the first use decides it. Throws Refusal, also where the name is
   * another account's.
   */
  async write(
    name: string,
    value: string,
    owner: SecretOwner,
    options: SecretOptions & { readonly expiresAt?: Date } = {},
  ): Promise<SecretReceipt> {
    const current = await this.#tagsOf(name, options);
    const before = (current && tagged(current)) ?? (await this.#note(name, options));
    const deleted = current === undefined ? await this.#store.deleted(name, options) : undefined;
    const other = [before, deleted && tagged(deleted.tags)].find((each) => each && each.account !== owner.account);
    if (other) throw new Refusal('conflict', `The secret ${name} is a secret of the account ${other.account}.`);
    // The note is made before the value is written: of two accounts that write one name, the second is refused.
    const isNew = await this.#insert(name, owner, options);
    try {
      const { account: _, kind: __, ...rest } = current ?? deleted?.tags ?? {};
      const receipt = await this.#store.set(name, value, { ...options, tags: { ...rest, ...tagsOf(owner) } });
      await this.#put(name, owner);
      return receipt;
    } catch (error) {
      if (isNew) await this.#forget(name);
      throw error;
    }
  }

  /** Deletes a secret of the account. False where there was none. Throws Refusal. */
  async remove(name: string, account: string, options: SecretOptions = {}): Promise<boolean> {
    const owner = await this.ownerOf(name, options);
    if (owner && owner.account !== account)
      throw new Refusal('conflict', `The secret ${name} is a secret of the account ${owner.account}.`);
    const removed = await this.#store.remove(name, options);
    await this.#forget(name);
    return removed;
  }

  /** Names of the secrets in Key Vault that are the account's. */
  async namesOf(account: string, options: SecretOptions = {}): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { name, tags } of this.#store.list(options)) {
      if (!keyOf(name).startsWith(`${account}-`)) continue;
      const owner = tagged(tags) ?? (await this.#note(name, options));
      if (owner?.account === account) names.push(name);
    }
    return names.sort();
  }

  async #bind(name: string, tags: SecretTags, use: SecretUse, options: SecretOptions): Promise<void> {
    const byTag = tagged(tags);
    const owner = byTag ?? (await this.#note(name, options)) ?? (await this.#adopt(name, use, options));
    const against = objection(owner, use);
    if (against !== undefined) {
      const hint = `Let the account name a secret of its own, or write the secret ${name} again for it.`;
      throw new SecretWithheld('foreign', `the secret ${name} ${against}`, hint);
    }
    if (byTag?.kind !== undefined) return;
    const bound = { account: use.account, kind: use.kind };
    if (owner.kind === undefined) await this.#put(name, bound);
    await this.#writeTags(name, { ...tags, ...tagsOf(bound) }, options);
  }

  /** Nobody is noted for it: it belongs to the account that names it longest, else to the one that asks. */
  async #adopt(name: string, use: SecretUse, options: SecretOptions): Promise<SecretOwner> {
    const first = (await this.#firstUser(name, options)) ?? use.account;
    const owner = first === use.account ? { account: first, kind: use.kind } : { account: first };
    if (await this.#insert(name, owner, options)) log.info('secrets.bound', { secret: name, account: first });
    return (await this.#note(name, options)) ?? owner;
  }

  /** The table's note binds as well, so that a vault without write access for the app needs no tags. */
  async #writeTags(name: string, tags: SecretTags, options: SecretOptions): Promise<void> {
    if (Date.now() < this.#noTagsUntil) return;
    try {
      if (await this.#store.tag(name, tags, options)) return;
    } catch (error) {
      options.signal?.throwIfAborted();
      log.warn('secrets.notTagged', { secret: name, error: errorText(error) });
    }
    this.#noTagsUntil = Date.now() + tagAgainMs;
  }

  /** Undefined where there is no such secret, or none that is given out. */
  async #tagsOf(name: string, options: SecretOptions): Promise<SecretTags | undefined> {
    try {
      return (await this.#store.read(name, options)).tags;
    } catch (error) {
      if (error instanceof SecretMissing) return undefined;
      throw error;
    }
  }

  async #note(name: string, options: SecretOptions): Promise<SecretOwner | undefined> {
    const key = keyOf(name);
    const known = this.#noted.get(key);
    if (known && Math.abs(Date.now() - known.at) < believeMs) return known.owner;
    const columns = (await this.#rows.get(partition, key, options))?.columns;
    if (typeof columns?.account !== 'string') return undefined;
    const owner = { account: columns.account, ...(typeof columns.kind === 'string' ? { kind: columns.kind } : {}) };
    this.#remember(key, owner);
    return owner;
  }

  /** True where nobody was noted before. */
  async #insert(name: string, owner: SecretOwner, options: SecretOptions): Promise<boolean> {
    const key = keyOf(name);
    try {
      await this.#rows.write(partition, [{ kind: 'insert', key, columns: { ...owner } }]);
      this.#remember(key, owner);
      return true;
    } catch (error) {
      if (!(error instanceof RowConflict)) throw error;
      this.#noted.delete(key);
      const there = await this.#note(name, options);
      if (there && there.account !== owner.account)
        throw new Refusal('conflict', `The secret ${name} is a secret of the account ${there.account}.`);
      return false;
    }
  }

  async #put(name: string, owner: SecretOwner): Promise<void> {
    await this.#rows.write(partition, [{ kind: 'put', key: keyOf(name), columns: { ...owner } }]);
    this.#remember(keyOf(name), owner);
  }

  async #forget(name: string): Promise<void> {
    this.#noted.delete(keyOf(name));
    await this.#rows.write(partition, [{ kind: 'delete', key: keyOf(name) }]).catch((error) => {
      if (!(error instanceof RowConflict)) throw error;
    });
  }

  #remember(key: string, owner: SecretOwner): void {
    this.#noted.set(key, { owner, at: Date.now() });
  }
}

function tagged(tags: SecretTags): SecretOwner | undefined {
  const { account, kind } = tags;
  return account === undefined
    ? undefined
    : { account: account.toLowerCase(), ...(kind === undefined ? {} : { kind }) };
}

function tagsOf({ account, kind }: SecretOwner): SecretTags {
  return { account, ...(kind === undefined ? {} : { kind }) };
}

function objection(owner: SecretOwner, use: SecretUse): string | undefined {
  if (owner.account !== use.account) return `is a secret of the account ${owner.account.slice(0, 32)}`;
  if (owner.kind !== undefined && owner.kind !== use.kind)
    return `is ${kindName(owner.kind)}, and is not used as ${kindName(use.kind)}`;
  return undefined;
}
