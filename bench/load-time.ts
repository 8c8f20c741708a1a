import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import { makePackage } from '../package.ts';
import { digits, median, type SectionResult } from './report.ts';

const run = promisify(execFile);

const helloWorld = `
import { app } from '@azure/functions';
app.http('hello', { methods: ['GET'], authLevel: 'anonymous', handler: async () => ({ body: 'Hello, world!' }) });
`;

/** Loads an app as the Functions worker does, with its core in place of the module of that name, and says how long it took. */
const loader = `
const Module = require('node:module');
const core = { version: '3.12.0', hostVersion: '4', registerFunction: () => ({ dispose() {} }), registerHook: () => ({ dispose() {} }),
  setProgrammingModel() {}, getProgrammingModel() {}, log() {}, Disposable: class {} };
Module.prototype.require = new Proxy(Module.prototype.require, {
  apply: (target, self, args) => (args[0] === '@azure/functions-core' ? core : Reflect.apply(target, self, args)),
});
const began = process.hrtime.bigint();
require(process.argv[2]);
console.log(Number(process.hrtime.bigint() - began) / 1e6);
process.exit(0);
`;

/** Time to load the app as it is deployed, against an app that does nothing; a fresh process each, in turns. */
export async function loadTime(options: { readonly quick: boolean }): Promise<SectionResult> {
  const rounds = options.quick ? 9 : 31;
  const directory = await mkdtemp(join(tmpdir(), 'mailroom-load-'));
  const times = {
    app: { load: [] as number[], process: [] as number[] },
    hello: { load: [] as number[], process: [] as number[] },
  };
  try {
    const hello = join(directory, 'hello.cjs');
    const app = join((await makePackage({ directory })).directory, 'main.cjs');
    await writeFile(join(directory, 'load.cjs'), loader);
    await esbuild.build({
      stdin: { contents: helloWorld, resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
      outfile: hello,
      bundle: true,
      platform: 'node',
      target: 'node22',
      format: 'cjs',
      minifySyntax: true,
      minifyWhitespace: true,
      external: ['@azure/functions-core'],
      logLevel: 'silent',
    });
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, file] of [
        ['hello', hello],
        ['app', app],
      ] as const) {
        const began = performance.now();
        const { stdout } = await run(process.execPath, [join(directory, 'load.cjs'), file]);
        times[name].process.push(performance.now() - began);
        times[name].load.push(Number(stdout.trim().split('\n').at(-1)));
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  const row = (name: string, { load, process: whole }: typeof times.app) => [
    name,
    digits(median(load)),
    digits(median(whole)),
  ];
  const ratio = median(times.app.process) / median(times.hello.process);
  return {
    title: 'Start: loading the packaged app against hello-world',
    notes: [
      `Median of ${rounds} fresh processes each, in turns, files in the page cache. Load: require of the bundle; process: start to end, Node included.`,
      'Both are bundled alike; hello-world registers one function of @azure/functions.',
    ],
    table: [
      ['milliseconds', 'load', 'process'],
      row('hello-world', times.hello),
      row('Mailroom', times.app),
      ['ratio', digits(median(times.app.load) / median(times.hello.load)), digits(ratio)],
    ],
    goals: [
      {
        what: 'start: load of hello-world',
        figure: median(times.app.load) / median(times.hello.load),
        bound: 'atMost',
        target: 1.5,
        unit: 'x',
      },
      { what: 'start: process of hello-world', figure: ratio, bound: 'atMost', target: 1.5, unit: 'x' },
    ],
  };
}
