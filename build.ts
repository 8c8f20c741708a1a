import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { z } from 'zod';
import { consoleFiles } from './console-files.ts';
import { describedWith, descriptionFiles } from './description.ts';
import { licensesOf, noticeText } from './notices.ts';

const root = fileURLToPath(new URL('.', import.meta.url));
const bundle = fileURLToPath(new URL('dist/main.cjs', import.meta.url));

/** Loading takes well under a second; a bundle that hangs at load would hang in Azure too. */
const loadMs = 30_000;

/** The name of the second bundle before its content is known; as long as the one it gets. */
const laterDraft = 'later-00000000.cjs';

/** Second bundles and files of the console stay this long after a build: whoever loaded a first one may not have asked for them yet. */
const keepMs = 86_400_000;

/** Loads with the app and again with the second bundle; it keeps nothing between calls. */
const inBoth: ReadonlySet<string> = new Set(['shared/platform/environment.ts']);

/** All that may be read before the first call: the library that registers functions, and what it is made of. */
const atLoad: ReadonlySet<string> = new Set(['@azure/functions', '@azure/functions-extensions-base', 'cookie']);

export interface BuildOptions {
  /** Where `dist/main.cjs` goes instead. */
  readonly outfile?: string;
  /** Instead of `functions/index.ts`. */
  readonly entry?: string;
}

/**
 * Bundles the app as Azure Functions loads it fastest, and answers the names of the functions that it registers: one
 * CommonJS file that registers them, and beside it `later-….cjs` with everything that they `import()` when they are
 * called, which Node need not read before, the files that describe the service to callers, and the web console. Throws when it cannot be built or registers none; an earlier build then stays
 * as it is. The new one takes its place in one step, so that whoever loads it meanwhile gets a whole one.
 */
export async function build(options: BuildOptions = {}): Promise<readonly string[]> {
  const outfile = options.outfile ?? bundle;
  const directory = dirname(outfile);
  const draft = `${outfile}.${process.pid}.cjs`;
  const imported = new Set<string>();
  const first = await bundled(outfile, { entryPoints: [options.entry ?? 'functions/index.ts'] }, [apart(imported)]);
  refuseHeavy(first);
  const second = imported.size === 0 ? undefined : await bundled(join(directory, laterDraft), laterEntry(imported));
  const later = second && laterDraft.replace('00000000', digest(second.code));
  if (second) refuseTwins(first, second);
  await mkdir(directory, { recursive: true });
  try {
    if (second && later) {
      await putInPlace(join(directory, `${later}.map`), second.map);
      await putInPlace(join(directory, later), second.code);
    }
    const more = options.entry === undefined ? await addFiles(directory) : [];
    await putInPlace(join(directory, 'NOTICE'), await notices([first, ...(second ? [second] : [])], more));
    await writeFile(draft, later === undefined ? first.code : first.code.replaceAll(laterDraft, later));
    const names = await registeredFunctions(draft, later);
    if (names.length === 0) throw new Error(`${outfile} registers no functions`);
    await putInPlace(`${outfile}.map`, first.map);
    await rename(draft, outfile);
    if (later !== undefined)
      await removeOld(directory, /^later-[0-9a-f]{8}\.cjs(\.map)?$/, (name) => name.startsWith(later));
    return names;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Puts what is answered as it is beside the bundle: the description and the console. Answers the packages they are made of. */
async function addFiles(directory: string): Promise<readonly string[]> {
  const { files, packages } = await consoleFiles();
  for (const [name, content] of [...(await descriptionFiles()), ...files])
    await putInPlace(join(directory, name), content);
  await removeOld(directory, /^console-[\w.-]+\.gz$/, (name) => files.has(name));
  return [...describedWith, ...packages];
}

interface Bundled {
  readonly code: string;
  readonly map: string;
  /** Files it was made of, relative to the project. */
  readonly inputs: readonly string[];
}

async function bundled(
  outfile: string,
  input: Pick<esbuild.BuildOptions, 'entryPoints' | 'stdin'>,
  plugins: esbuild.Plugin[] = [],
): Promise<Bundled> {
  const { warnings, outputFiles, metafile } = await esbuild.build({
    ...input,
    absWorkingDir: root,
    outfile,
    plugins,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    // Names in stack traces are worth more than the bytes saved.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'silent',
    // The first is there only inside the Functions worker, which puts it into `require`.
    external: ['@azure/functions-core', `./${laterDraft}`],
    // Some dependencies ask for it even when bundled as CommonJS.
    define: { 'import.meta.url': '__bundleUrl' },
    banner: { js: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  for (const line of await esbuild.formatMessages(warnings, { kind: 'warning' })) console.warn(line);
  const text = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  return { code: text('.cjs'), map: text('.map'), inputs: Object.keys(metafile.inputs) };
}

/** The licences of what was bundled, and of `more` folders: minified code has none of their comments left. */
async function notices(bundles: readonly Bundled[], more: readonly string[]): Promise<string> {
  const folders = bundles
    .flatMap(({ inputs }) => inputs)
    .map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0])
    .filter((folder) => folder !== undefined);
  return noticeText(await licensesOf(root, [...folders, ...more]));
}

/** Leaves what our own modules `import()` to the second bundle, and notes it. */
function apart(imported: Set<string>): esbuild.Plugin {
  const namespace = 'later';
  return {
    name: namespace,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\.?\// }, ({ kind, path, importer, resolveDir }) => {
        if (kind !== 'dynamic-import' || importer.includes('node_modules')) return undefined;
        const name = relative(root, resolve(resolveDir, path)).replaceAll(sep, '/');
        imported.add(name);
        return { path: name, namespace };
      });
      onLoad({ filter: /./, namespace }, ({ path }) => ({
        contents: `module.exports = require('./${laterDraft}')[${JSON.stringify(path)}]();`,
        resolveDir: root,
      }));
    },
  };
}

/** Each module of the second bundle is run when it is first asked for, as if it were a file of its own. */
function laterEntry(imported: ReadonlySet<string>): { stdin: esbuild.StdinOptions } {
  const modules = [...imported].sort().map((name) => [name, `./${name}`].map((text) => JSON.stringify(text)));
  return {
    stdin: {
      contents: modules.map(([name, path]) => `exports[${name}] = () => require(${path});`).join('\n'),
      resolveDir: root,
      sourcefile: 'later.cjs',
    },
  };
}

/** A library that is imported where the app loads costs every cold start, also of calls that never need it. */
function refuseHeavy({ inputs }: Bundled): void {
  const packages = inputs.map((input) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1]);
  const heavy = new Set(packages.filter((name) => name !== undefined && !atLoad.has(name)));
  if (heavy.size > 0) throw new Error(`Imported at load: ${[...heavy].join(', ')}. Use import() where it is needed.`);
}

/** A module in both bundles would be there twice, with what it remembers twice. */
function refuseTwins(first: Bundled, second: Bundled): void {
  const there = new Set(first.inputs);
  const twins = second.inputs.filter((input) => there.has(input) && !inBoth.has(input));
  if (twins.length > 0) {
    throw new Error(
      `Imported both at load and later: ${twins.slice(0, 5).join(', ')}. Use import() for all but types.`,
    );
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

async function putInPlace(file: string, content: string | Uint8Array): Promise<void> {
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, content);
  await rename(draft, file);
}

/** Removes files of earlier builds: what has such a name, is not of this one, and has been there for long. */
async function removeOld(directory: string, named: RegExp, isCurrent: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!named.test(name) || isCurrent(name)) continue;
    const file = join(directory, name);
    const age = await stat(file).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > keepMs) await rm(file, { force: true });
  }
}

const reportSchema = z.union([z.array(z.string()), z.object({ error: z.string() })]);

/**
 * Loads the bundle in a process of its own, with a worker API that only writes down what is registered. Without that
 * API the library registers nothing at all and says so only in passing: a bundle like that must not be deployed.
 */
async function registeredFunctions(outfile: string, later: string | undefined): Promise<readonly string[]> {
  const files = later === undefined ? [outfile] : [outfile, join(dirname(outfile), later)];
  const child = spawn(process.execPath, ['--eval', `(${probe})(${JSON.stringify(files)})`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    timeout: loadMs,
    killSignal: 'SIGKILL',
  });
  const ended = once(child, 'exit');
  const [message] = await Promise.race([once(child, 'message'), ended.then(() => [undefined])]);
  child.kill('SIGKILL');
  await ended;
  const report = reportSchema.safeParse(message);
  if (!report.success) throw new Error(`${outfile} could not be loaded`);
  if ('error' in report.data) throw new Error(`${outfile} could not be loaded: ${report.data.error}`);
  return report.data;
}

/** Runs in the child as text: it may use nothing from this file. */
const probe = `(files) => {
  const Module = require('node:module');
  const names = [];
  const disposable = { dispose() {} };
  const core = {
    version: '4.0.0',
    hostVersion: '4.0.0',
    registerFunction(metadata) { names.push(metadata.name); return disposable; },
    setProgrammingModel() {},
    getProgrammingModel() {},
    registerHook() { return disposable; },
    log() {},
    Disposable: class { dispose() {} },
  };
  const load = Module.prototype.require;
  Module.prototype.require = function (id) { return id === '@azure/functions-core' ? core : load.call(this, id); };
  try {
    for (const file of files) require(file);
    process.send(names);
  } catch (error) {
    process.send({ error: String(error && error.stack || error) });
  }
}`;

if (import.meta.main) {
  try {
    const names = await build();
    console.log(`dist/main.cjs registers ${names.length} functions: ${[...names].sort().join(', ')}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
