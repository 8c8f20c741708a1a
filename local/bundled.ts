import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, 'node_modules', '.cache', 'mailroom');

/** Bundles stay this long after they were replaced: a process may load a part of its own at its first use. */
const keepMs = 86_400_000;

/** What dependencies that are CommonJS find around them. */
const commonJs = `
import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);
const { filename: __bundleFile, dirname: __bundleDirectory } = import.meta;
`;

/** What a bundle was made of; with other files it is made again. */
const madeOfSchema = z.strictObject({
  bundle: z.string(),
  files: z.record(z.string(), z.strictObject({ mtimeMs: z.number(), size: z.number() })),
});
type MadeOf = z.output<typeof madeOfSchema>;

/**
 * A program and all that it imports in one file, which Node loads in a fraction of the time: the local host and Azurite
 * are some thousand files. It is made at the first call, and again when one of the project's files in it or the lockfile
 * has changed.
 *
 * @param program its TypeScript file.
 * @returns path of an ES module.
 * @throws when it cannot be bundled, or `node_modules` cannot be written to.
 */
export async function bundled(program: string): Promise<string> {
  const description = join(cache, `${nameOf(program)}.json`);
  const before = await madeBefore(description);
  if (before && (await isCurrent(before))) return join(cache, before.bundle);
  const made = await make(program);
  const draft = `${description}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(made));
  await rename(draft, description);
  if (before) await replacedNow(before);
  await removeOld();
  return join(cache, made.bundle);
}

/** Undefined where there is none, or its description was cut. */
async function madeBefore(description: string): Promise<MadeOf | undefined> {
  try {
    return madeOfSchema.parse(JSON.parse(await readFile(description, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Its directory says from now on since when it is not used for new processes. */
async function replacedNow({ bundle }: MadeOf): Promise<void> {
  const now = new Date();
  await utimes(dirname(join(cache, bundle)), now, now).catch(() => undefined);
}

/** Environment in which Node keeps what it has compiled, and finds it at the next start. */
export function compiledOnce(): Readonly<Record<string, string>> {
  return { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'compiled') };
}

/** As its file, in letters that a file may have. */
const nameOf = (program: string) => relative(root, program).replaceAll(/\W+/g, '-');

async function isCurrent({ bundle, files }: MadeOf): Promise<boolean> {
  const now = await filesNow([...Object.keys(files), relative(root, join(cache, bundle))]).catch(() => undefined);
  return Object.entries(files).every(
    ([name, { mtimeMs, size }]) => now?.[name]?.mtimeMs === mtimeMs && now[name].size === size,
  );
}

async function make(program: string): Promise<MadeOf> {
  const esbuild = await import('esbuild');
  const directory = `${nameOf(program)}-${randomUUID()}`;
  await mkdir(cache, { recursive: true });
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [program],
    outdir: join(cache, directory),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What is imported at its first use stays apart, and is not even read before.
    splitting: true,
    metafile: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    logLevel: 'error',
    banner: { js: commonJs },
    define: { __filename: '__bundleFile', __dirname: '__bundleDirectory' },
  });
  const own = Object.keys(metafile.inputs).filter((name) => !name.startsWith('node_modules/') && !name.includes(':'));
  const files = await filesNow([...own, 'package-lock.json', relative(root, import.meta.filename)]);
  return { bundle: join(directory, `${basename(program, '.ts')}.mjs`), files };
}

async function filesNow(names: readonly string[]): Promise<MadeOf['files']> {
  const entries = names.map(async (name) => {
    const { mtimeMs, size } = await stat(join(root, name));
    return [name, { mtimeMs, size }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function removeOld(): Promise<void> {
  const kept = new Set<string>();
  const names = await readdir(cache);
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const made = await madeBefore(join(cache, name));
    if (made) kept.add(dirname(made.bundle));
  }
  for (const name of names.filter((each) => !each.endsWith('.json') && !kept.has(each))) {
    const path = join(cache, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > keepMs) await rm(path, { recursive: true, force: true });
  }
}
