import { glob, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { messageOf } from './log.ts';

/** A glob that matches more files than this is a mistake (node_modules, most likely). */
const MAX_APP_FILES = 1_000;

const packageSchema = z.looseObject({ main: z.string().min(1).optional(), type: z.string().optional() });

/** What was loaded, and a way to forget it again. */
export interface LoadedApp {
  readonly files: readonly string[];
  /** Drops the CommonJS modules this load brought in. ES modules stay: Node cannot unload them. */
  unload(): void;
}

/**
 * Loads the files `main` of the app's package.json names (a file or a glob, relative to the app), in alphabetical
 * order, ES modules by `import()` and the rest by `require()`.
 *
 * @throws one clear line: no package.json, no `main`, nothing matched, or a file that threw while loading.
 */
export async function loadApp(appDir: string): Promise<LoadedApp> {
  const manifest = await readManifest(path.join(appDir, 'package.json'));
  if (manifest.main === undefined) throw new Error(`package.json in ${appDir} has no "main": nothing to load`);
  const files = await matchingFiles(appDir, manifest.main);
  const require = createRequire(path.join(appDir, 'package.json'));
  const before = new Set(Object.keys(require.cache));
  for (const file of files) {
    try {
      if (await isEsModule(file)) await import(pathToFileURL(file).href);
      else require(file);
    } catch (error) {
      throw new Error(`The app's entry point ${path.relative(appDir, file)} could not be loaded: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  const loaded = Object.keys(require.cache).filter((key) => !before.has(key));
  return {
    files,
    unload: () => {
      for (const key of loaded) delete require.cache[key];
    },
  };
}

async function readManifest(file: string): Promise<z.infer<typeof packageSchema>> {
  try {
    return packageSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new Error(`${file} could not be read: ${messageOf(error)}`);
  }
}

async function matchingFiles(appDir: string, main: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const name of glob(main, { cwd: appDir })) {
    files.push(path.join(appDir, name));
    if (files.length > MAX_APP_FILES) throw new Error(`"main" (${main}) matches more than ${MAX_APP_FILES} files`);
  }
  if (files.length === 0)
    throw new Error(`"main" of package.json (${main}) matches no file in ${appDir}: build it first`);
  return files.sort();
}

/** Node's own rule: the ending decides, else `type` of the nearest package.json. */
async function isEsModule(file: string): Promise<boolean> {
  if (file.endsWith('.mjs')) return true;
  if (file.endsWith('.cjs')) return false;
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    const text = await readFile(path.join(dir, 'package.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return packageSchema.parse(JSON.parse(text)).type === 'module';
    if (dir === path.dirname(dir)) return false;
  }
}
