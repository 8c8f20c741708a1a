import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { z } from 'zod';

const root = fileURLToPath(new URL('.', import.meta.url));
const bundle = fileURLToPath(new URL('dist/main.cjs', import.meta.url));

/** Loading takes well under a second; a bundle that hangs at load would hang in Azure too. */
const loadMs = 30_000;

export interface BuildOptions {
  /** Where `dist/main.cjs` goes instead. */
  readonly outfile?: string;
  /** Instead of `functions/index.ts`. */
  readonly entry?: string;
}

/**
 * Bundles the app into one CommonJS file, as Azure Functions loads it fastest, and answers the names of the functions
 * that it registers. Throws when it cannot be built or registers none; an earlier bundle then stays as it is. The new
 * one takes its place in one step, so that whoever loads it meanwhile gets a whole one.
 */
export async function build(options: BuildOptions = {}): Promise<readonly string[]> {
  const outfile = options.outfile ?? bundle;
  const draft = `${outfile}.${process.pid}.cjs`;
  try {
    const names = await buildDraft(options.entry ?? 'functions/index.ts', draft);
    if (names.length === 0) throw new Error(`${outfile} registers no functions`);
    await rename(`${draft}.map`, `${outfile}.map`);
    await rename(draft, outfile);
    return names;
  } finally {
    await Promise.all([draft, `${draft}.map`].map((file) => rm(file, { force: true })));
  }
}

async function buildDraft(entry: string, outfile: string): Promise<readonly string[]> {
  const { warnings } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    // Names in stack traces tell more than the bytes saved would.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'silent',
    // There only inside the Functions worker, which puts it into `require`.
    external: ['@azure/functions-core'],
    // Some dependencies ask for it even when bundled as CommonJS.
    define: { 'import.meta.url': '__bundleUrl' },
    banner: { js: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  for (const line of await esbuild.formatMessages(warnings, { kind: 'warning' })) console.warn(line);
  return registeredFunctions(outfile);
}

const reportSchema = z.union([z.array(z.string()), z.object({ error: z.string() })]);

/**
 * Loads the bundle in a process of its own, with a worker API that only writes down what is registered. Without that
 * API the library registers nothing at all and says so only in passing: a bundle like that must not be deployed.
 */
async function registeredFunctions(outfile: string): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['--eval', `(${probe})(${JSON.stringify(outfile)})`], {
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
const probe = `(outfile) => {
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
    require(outfile);
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
