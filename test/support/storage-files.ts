import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Every file under a folder, with what it holds. Azurite keeps there whatever is or was in its storage. */
export async function filesUnder(
  folder: string,
): Promise<readonly { readonly path: string; readonly bytes: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
}

/**
 * The forms in which a text can lie in storage: as it is, escaped as JSON, and in base64, which has three depending on
 * what stands before it.
 */
export function formsOf(text: string): readonly string[] {
  const inBase64 = [0, 1, 2].map((before) => {
    const encoded = Buffer.from('\0'.repeat(before) + text).toString('base64');
    // Characters at both ends also depend on the neighbours.
    return encoded.slice(before === 0 ? 0 : before + 1, Math.floor(((before + Buffer.byteLength(text)) * 8) / 6));
  });
  return [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text), ...inBase64];
}

/** Whether a text is in there, in any of its forms. */
export function holds(bytes: Buffer | string, text: string): boolean {
  return formsOf(text).some((form) => bytes.includes(form));
}
