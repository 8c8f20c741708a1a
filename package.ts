import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zipSync } from 'fflate';
import { z } from 'zod';
import { build } from './build.ts';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Bytes of the zip. An instance that starts downloads and unpacks all of it before the app is loaded. */
const maxBytes = 3_000_000;

/** The earliest time that a zip can hold. A zip holds local time; this is the same text in every zone. */
const fixedTime = new Date(1980, 0, 1);

/** A plain file, readable by all, in the terms of Unix (upper half of a zip's external attributes). */
const plainFile = (0o100644 << 16) >>> 0;

const manifestSchema = z.object({ name: z.string(), version: z.string() });

export interface Package {
  /** Unpacked: what `func azure functionapp publish` and azd upload. */
  readonly directory: string;
  readonly zip: string;
  /** Of the zip. */
  readonly bytes: number;
  readonly files: readonly string[];
  readonly functions: readonly string[];
}

/**
 * Makes what is deployed, `package/` and `mailroom.zip`, in `directory` (default: `dist`): the bundle's two files, those
 * that describe the service, host.json, NOTICE, and a package.json that names the one to load and no dependencies. The same sources make the same bytes.
 * Throws when the bundle registers no functions or the zip is too large; an earlier package then stays.
 */
export async function makePackage(options: { readonly directory?: string; readonly maxBytes?: number } = {}) {
  const directory = options.directory ?? join(root, 'dist');
  const draft = join(directory, `package.${process.pid}`);
  const limit = options.maxBytes ?? maxBytes;
  await mkdir(draft, { recursive: true });
  try {
    const functions = await build({ outfile: join(draft, 'main.cjs') });
    for (const name of await readdir(draft)) if (name.endsWith('.map')) await rm(join(draft, name));
    await copyFile(join(root, 'host.json'), join(draft, 'host.json'));
    await writeFile(join(draft, 'package.json'), await manifest());
    const files = (await readdir(draft)).sort();
    const zip = zipped(
      await Promise.all(files.map(async (name) => [name, await readFile(join(draft, name))] as const)),
    );
    if (zip.length > limit) throw new Error(`The package has ${zip.length} bytes; at most ${limit} are allowed`);
    const made: Package = {
      directory: join(directory, 'package'),
      zip: join(directory, 'mailroom.zip'),
      bytes: zip.length,
      files,
      functions,
    };
    await rm(made.directory, { recursive: true, force: true });
    await rename(draft, made.directory);
    await writeFile(`${made.zip}.${process.pid}`, zip);
    await rename(`${made.zip}.${process.pid}`, made.zip);
    return made;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Without `type`: the endings of the files say what they are. Without dependencies: nothing is to be installed. */
async function manifest(): Promise<string> {
  const { name, version } = manifestSchema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  return `${JSON.stringify({ name, version, private: true, main: 'main.cjs' }, undefined, 2)}\n`;
}

function zipped(files: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const options = { level: 9, mtime: fixedTime, os: 3, attrs: plainFile } as const;
  return zipSync(Object.fromEntries(files.map(([name, content]) => [name, [content, options]])));
}

if (import.meta.main) {
  try {
    const { functions, zip, bytes, files } = await makePackage();
    console.log(`${zip}: ${bytes} bytes, ${functions.length} functions; ${files.join(', ')}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
