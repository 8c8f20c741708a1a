import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { makePackage } from '../package.ts';
import { outputOf } from './child.ts';
import { firstMessages } from './first-message.ts';
import { digits, median, type SectionResult } from './report.ts';

const limitMs = 60_000;

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

/**
 * Time to load the app as it is deployed, against an app that does nothing; a fresh process each, in turns. Then what the
 * first message takes that a process accepts after its load.
 */
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
        const stdout = await outputOf(join(directory, 'load.cjs'), [file], limitMs);
        times[name].process.push(performance.now() - began);
        times[name].load.push(Number(stdout.trim().split('\n').at(-1)));
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  const coldRounds = options.quick ? 5 : 15;
  const messages = await firstMessages(coldRounds);
  const row = (name: string, { load, process: whole }: typeof times.app) => [
    name,
    digits(median(load)),
    digits(median(whole)),
  ];
  const message = (name: string, took: readonly number[]) => [
    name,
    '',
    '',
    digits(median(took)),
    digits(Math.max(...took)),
  ];
  const ratio = median(times.app.process) / median(times.hello.process);
  return {
    title: 'Start: loading the packaged app against hello-world',
    notes: [
      `Median of ${rounds} fresh processes each, in turns, files in the page cache. Load: require of the bundle; process: start to end, Node included.`,
      'Both are bundled alike; hello-world registers one function of @azure/functions.',
      `First message: of ${coldRounds} cold processes each, from the call of POST /messages to 202, right after the local host has loaded the app; no code compiled before. Median, and slowest.`,
    ],
    table: [
      ['milliseconds', 'load', 'process', 'to 202', 'slowest'],
      row('hello-world', times.hello),
      row('Mailroom', times.app),
      ['ratio', digits(median(times.app.load) / median(times.hello.load)), digits(ratio)],
      message('first message', messages.first),
      message('second message', messages.second),
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
      {
        what: 'start: first message of a cold process',
        figure: median(messages.first),
        bound: 'atMost',
        target: 400,
        unit: ' ms',
      },
    ],
  };
}
