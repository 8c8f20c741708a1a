import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder people look into; older mail goes first. */
const maxFiles = 1_000;
const maxBytes = 1024 * 1024 * 1024;

export interface MailFolder {
  /** Writes one mail as an .eml file and answers its path. Old files make room. */
  add(bytes: Buffer): Promise<string>;
}

/** Keeps mail as files named by their time of arrival, across starts. */
export async function openMailFolder(directory: string): Promise<MailFolder> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = (await readdir(directory)).filter((name) => name.endsWith('.eml')).sort();
  const kept = await Promise.all(
    names.map(async (name) => ({ path: join(directory, name), size: (await stat(join(directory, name))).size })),
  );
  let total = kept.reduce((sum, file) => sum + file.size, 0);
  let count = 0;
  return {
    async add(bytes) {
      const time = new Date().toISOString().replace(/[:.]/g, '-');
      const file = { path: join(directory, `${time}-${process.pid}-${++count}.eml`), size: bytes.length };
      kept.push(file);
      total += file.size;
      await writeFile(file.path, bytes, { mode: 0o600 });
      while (kept.length > maxFiles || (total > maxBytes && kept.length > 1)) {
        const oldest = kept.shift();
        if (!oldest) break;
        total -= oldest.size;
        await rm(oldest.path, { force: true });
      }
      return file.path;
    },
  };
}
