import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';

const secondsSchema = z.int().min(0);

export const attributesSchema = z.object({
  enabled: z.boolean().optional(),
  nbf: secondsSchema.optional(),
  exp: secondsSchema.optional(),
});

const versionSchema = z.object({
  version: z.string(),
  value: z.string(),
  contentType: z.string().optional(),
  tags: z.record(z.string(), z.string()).optional(),
  attributes: attributesSchema.required({ enabled: true }),
  /** Seconds since the epoch, like all times here. */
  created: secondsSchema,
  updated: secondsSchema,
});

const secretSchema = z.object({
  /** As it was first written; compared without letter case. */
  name: z.string(),
  /** Oldest first; never empty. */
  versions: z.array(versionSchema).min(1),
  /** Present while soft-deleted. */
  deletedAt: secondsSchema.optional(),
});

const vaultSchema = z.array(secretSchema);

export type SecretVersion = z.output<typeof versionSchema>;
export type StoredSecret = z.output<typeof secretSchema>;

/** Where the vault's state lives. */
export interface VaultFile {
  load(): Promise<StoredSecret[]>;
  /** Settles once the state is on disk. */
  save(secrets: readonly StoredSecret[]): Promise<void>;
}

/** One JSON file that only its owner may read, replaced as a whole; without a path the state is not kept. */
export function vaultFile(path: string | undefined): VaultFile {
  let last: Promise<void> = Promise.resolve();
  return {
    async load() {
      if (path === undefined) return [];
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
        throw error;
      }
      return vaultSchema.parse(JSON.parse(text));
    },
    save(secrets) {
      if (path === undefined) return Promise.resolve();
      const text = JSON.stringify(secrets);
      // One after the other: the file of a later state must not be replaced by an earlier one.
      const saved = last.then(() => replace(path, text));
      last = saved.catch(() => undefined);
      return saved;
    },
  };
}

async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
}
