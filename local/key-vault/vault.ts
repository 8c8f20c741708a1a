import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { badParameter, notFound, VaultError } from './vault-error.ts';
import { attributesSchema, type SecretVersion, type StoredSecret, type VaultFile } from './vault-file.ts';

/** Key Vault service limits: 25 KB a value. */
const maxValueBytes = 25_600;
/** All versions of all secrets; a stand-in that gets more is being misused, and rewrites its file at every change. */
const maxVersions = 10_000;

/** Key Vault: at most 15 tags, names and values of at most 256 characters. */
const tagsSchema = z
  .record(z.string().max(256), z.string().max(256))
  .refine((tags) => Object.keys(tags).length <= 15)
  .optional();
const patchSchema = z.object({
  contentType: z.string().max(255).optional(),
  tags: tagsSchema,
  attributes: attributesSchema.optional(),
});
const newSecretSchema = patchSchema.extend({ value: z.string() });

/** The secrets of one vault, by name without letter case. Every change is on disk when its promise settles. */
export class Vault {
  readonly #file: VaultFile;
  readonly #secrets: Map<string, StoredSecret>;

  private constructor(file: VaultFile, secrets: readonly StoredSecret[]) {
    this.#file = file;
    this.#secrets = new Map(secrets.map((secret) => [secret.name.toLowerCase(), secret]));
  }

  static async open(file: VaultFile): Promise<Vault> {
    return new Vault(file, await file.load());
  }

  list(state: 'active' | 'deleted'): readonly StoredSecret[] {
    return [...this.#secrets.values()]
      .filter((secret) => (secret.deletedAt === undefined) === (state === 'active'))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Throws SecretNotFound for a soft-deleted one too. */
  active(name: string): StoredSecret {
    const secret = this.#secrets.get(name.toLowerCase());
    if (!secret || secret.deletedAt !== undefined) throw notFound(name);
    return secret;
  }

  deleted(name: string): StoredSecret & { deletedAt: number } {
    const secret = this.#secrets.get(name.toLowerCase());
    if (secret?.deletedAt === undefined) throw notFound(name);
    return { ...secret, deletedAt: secret.deletedAt };
  }

  /** A version of a secret that is not deleted; the newest without `version`. */
  version(name: string, version?: string): SecretVersion {
    const { versions } = this.active(name);
    const found = version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
    if (!found) throw notFound(`${name}/${version}`);
    return found;
  }

  /** Adds a version. */
  async put(name: string, input: unknown): Promise<SecretVersion> {
    const parsed = newSecretSchema.safeParse(input);
    if (!parsed.success) throw badParameter('The request body does not describe a secret.');
    const { value, attributes, ...rest } = parsed.data;
    if (Buffer.byteLength(value) > maxValueBytes) throw badParameter('The secret value is longer than 25 KB.');
    const known = this.#secrets.get(name.toLowerCase());
    if (known?.deletedAt !== undefined) {
      const message = `Secret ${name} is currently in a deleted but recoverable state; its name cannot be used.`;
      throw new VaultError(409, 'Conflict', message, 'ObjectIsDeletedButRecoverable');
    }
    let count = 0;
    for (const secret of this.#secrets.values()) count += secret.versions.length;
    if (count >= maxVersions) throw new VaultError(429, 'Throttled', 'The vault holds too many versions.');
    const now = nowSeconds();
    const added: SecretVersion = {
      ...rest,
      version: randomUUID().replaceAll('-', ''),
      value,
      attributes: { ...attributes, enabled: attributes?.enabled ?? true },
      created: now,
      updated: now,
    };
    await this.#store({ name: known?.name ?? name, versions: [...(known?.versions ?? []), added] });
    return added;
  }

  /** Changes everything but the value. */
  async update(name: string, version: string | undefined, input: unknown): Promise<SecretVersion> {
    const parsed = patchSchema.safeParse(input);
    if (!parsed.success) throw badParameter('The request body does not describe the properties of a secret.');
    const { attributes, ...rest } = parsed.data;
    const old = this.version(name, version);
    const changed = {
      ...old,
      ...rest,
      attributes: { ...old.attributes, ...attributes, enabled: attributes?.enabled ?? old.attributes.enabled },
      updated: nowSeconds(),
    };
    const secret = this.active(name);
    await this.#store({ ...secret, versions: secret.versions.map((one) => (one === old ? changed : one)) });
    return changed;
  }

  /** Soft delete: kept, found no more, and its name in use until it is purged. */
  async remove(name: string): Promise<StoredSecret & { deletedAt: number }> {
    await this.#store({ ...this.active(name), deletedAt: nowSeconds() });
    return this.deleted(name);
  }

  async recover(name: string): Promise<StoredSecret> {
    const { deletedAt: _, ...secret } = this.deleted(name);
    await this.#store(secret);
    return secret;
  }

  async purge(name: string): Promise<void> {
    this.#secrets.delete(this.deleted(name).name.toLowerCase());
    await this.#file.save([...this.#secrets.values()]);
  }

  async #store(secret: StoredSecret): Promise<void> {
    this.#secrets.set(secret.name.toLowerCase(), secret);
    await this.#file.save([...this.#secrets.values()]);
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
