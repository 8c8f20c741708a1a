import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'fflate';
import { z } from 'zod';

const root = fileURLToPath(new URL('.', import.meta.url));
const source = join(root, 'console');

/** What was built of which sources: most builds change nothing of the console. */
const kept = join(root, 'dist/console');

/** Builds of other sources stay this long, for whoever goes to and fro between branches. */
const keepMs = 7 * 86_400_000;

/** Bytes of all files, packed: a phone loads them within seconds. */
const maxBytes = 250_000;

/** All that decides what is built, beside the sources: versions of the libraries, and how this file builds. */
const alsoDecides = ['package-lock.json', 'console-files.ts'] as const;

export interface ConsoleFiles {
  /** Packed, by file name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Folders of the packages that are in them (`node_modules/…`). */
  readonly packages: readonly string[];
}

const indexSchema = z.object({ files: z.array(z.string()), packages: z.array(z.string()) });

/**
 * The files of the web console, packed with gzip, by their names in the package. Vite is loaded and run only where
 * something has changed since the last time; else this takes some milliseconds. Throws when they cannot be built, or are
 * too large.
 */
export async function consoleFiles(): Promise<ConsoleFiles> {
  const directory = join(kept, await digestOfSources());
  const before = await readKept(directory);
  if (before) return before;
  const built = await buildConsole();
  await keep(directory, built);
  return built;
}

/** Of names and contents; types and documents change nothing of what is built. */
async function digestOfSources(): Promise<string> {
  const names = (await readdir(source, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !/\.(?:d\.ts|md|json)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, '/'));
  const hash = createHash('sha256');
  for (const name of [...names.sort(), ...alsoDecides]) {
    const content = await readFile(join(root, name));
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 32);
}

async function readKept(directory: string): Promise<ConsoleFiles | undefined> {
  try {
    const index = indexSchema.parse(JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')));
    const files = await Promise.all(
      index.files.map(async (name) => [name, await readFile(join(directory, name))] as const),
    );
    return { files: new Map(files), packages: index.packages };
  } catch {
    return undefined;
  }
}

/** Puts the files in place in one step: several builds may do that at a time. */
async function keep(directory: string, { files, packages }: ConsoleFiles): Promise<void> {
  const draft = `${directory}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  for (const [name, content] of files) await writeFile(join(draft, name), content);
  await writeFile(join(draft, 'index.json'), JSON.stringify({ files: [...files.keys()], packages }));
  // Where another build was first, its files are the same.
  await rename(draft, directory).catch(() => rm(draft, { recursive: true, force: true }));
  for (const name of await readdir(kept)) {
    const { mtimeMs } = await stat(join(kept, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > keepMs) await rm(join(kept, name), { recursive: true, force: true });
  }
}

async function buildConsole(): Promise<ConsoleFiles> {
  const { build } = await import('vite');
  const packages = new Set<string>();
  const result = await build({
    root: source,
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'warn',
    base: '/api/console/',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      write: false,
      target: 'es2022',
      assetsDir: 'files',
      // Nothing inline: the page's policy allows none of it.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      rolldownOptions: {
        output: {
          entryFileNames: 'files/[name]-[hash].js',
          chunkFileNames: 'files/[name]-[hash].js',
          assetFileNames: 'files/[name]-[hash].[ext]',
        },
      },
    },
    plugins: [
      {
        name: 'packages',
        generateBundle(_, bundle) {
          for (const chunk of Object.values(bundle))
            for (const id of chunk.type === 'chunk' ? chunk.moduleIds : []) {
              const [folder] = /node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replaceAll('\\', '/')) ?? [];
              if (folder !== undefined) packages.add(folder);
            }
        },
      },
    ],
  });
  const outputs = [result].flat().flatMap((each) => ('output' in each ? each.output : []));
  const files = new Map<string, Uint8Array>();
  for (const output of outputs) {
    const content = output.type === 'chunk' ? output.code : output.source;
    files.set(`${packedName(output.fileName)}.gz`, packed(content));
  }
  files.set('console-frame.html.gz', packed(await readFile(join(source, 'frame.html'))));
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  if (bytes > maxBytes) throw new Error(`The console has ${bytes} bytes, packed; at most ${maxBytes} are allowed`);
  return { files, packages: [...packages].sort() };
}

/** The package is flat. */
function packedName(fileName: string): string {
  return fileName === 'index.html' ? 'console.html' : fileName.replace(/^files\//, 'console-');
}

/** As the zip: the same sources make the same bytes. */
function packed(content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return gzipSync(bytes, { level: 9, mtime: 0 });
}
