import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const keysSchema = z.object({
  functionKey: z.string().min(1),
  masterKey: z.string().min(1),
  clientSecret: z.string().min(1),
  mailboxPassword: z.string().min(1),
});

/** What is made up at the first start and kept, so that callers and accounts go on working after the next. */
export type LocalKeys = z.output<typeof keysSchema>;

/** Reads the keys kept in a data directory, or makes them. The file is its owner's alone. */
export async function localKeys(directory: string): Promise<LocalKeys> {
  const file = join(directory, 'keys.json');
  const kept = keysSchema.safeParse(await readJson(file));
  if (kept.success) return kept.data;
  const secret = () => randomBytes(24).toString('base64url');
  const made = {
    functionKey: secret(),
    masterKey: secret(),
    clientSecret: secret(),
    mailboxPassword: randomBytes(9).toString('base64url'),
  };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, JSON.stringify(made), { mode: 0o600 });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
  return made;
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}
