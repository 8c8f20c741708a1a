import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import { type Equivalent, equivalents } from './equivalent.ts';

/**
 * `npm run mutation -- [--fresh] [--tests suite]... [paths]`: changes the code in one place at a time and says which changes no unit test notices.
 * `paths` are folders or files below shared/; without any, the outbox, the inbox, the limits and the rows. What has not
 * changed since the last run is known from it, except with `--fresh`. With `--tests` only those suites are run, such
 * as the ones beside a file: that is much faster. All mutants are in `.local/mutation/mutation.html`.
 */

const root = fileURLToPath(new URL('../../', import.meta.url));

const usualPaths = [
  'shared/platform/row*.ts',
  'shared/platform/table-*.ts',
  'shared/limits',
  'shared/outbox',
  'shared/inbox',
];

type Options = ConstructorParameters<typeof Stryker>[0];
type Mutant = Awaited<ReturnType<Stryker['runMutationTest']>>[number];

function optionsFor({ paths, fresh, tests }: Arguments): Options {
  return {
    mutate: [
      ...paths.map((path) => (path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.ts`)),
      '!**/*.test.ts',
      '!**/*.test-support.ts',
      // Lines of the log alone: see `wording.ts`.
      '!shared/outbox/delivering/attempt-log.ts',
    ],
    testRunner: 'vitest',
    // Which suites cover a mutant is known from the first run: asking each time costs more than running them.
    vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
    plugins: ['@stryker-mutator/vitest-runner', './test/mutation/wording.ts'],
    ignorers: ['wording'],
    // Constants and schemas are made when a file is loaded: a mutant of one runs every suite anew, and most of them are
    // numbers that the contract gives and tests name.
    ignoreStatic: true,
    coverageAnalysis: 'perTest',
    concurrency: 1,
    // TypeScript 7 has no API that Stryker could read its settings by; nothing here needs them.
    tsconfigFile: 'none.json',
    ignorePatterns: ['.local', 'dist', 'docs', 'bench', 'infra'],
    tempDirName: '.local/mutation/work',
    reporters: ['html', 'json', 'progress-append-only'],
    htmlReporter: { fileName: '.local/mutation/mutation.html' },
    jsonReporter: { fileName: '.local/mutation/mutation.json' },
    allowEmpty: true,
    // What neither its code nor its tests have changed since the last run is not tried again.
    incremental: tests.length === 0,
    incrementalFile: '.local/mutation/incremental.json',
    force: fresh,
    ...(tests.length === 0 ? {} : { testFiles: [...tests] }),
    checkers: [],
    disableTypeChecks: false,
  };
}

interface Arguments {
  /** Folders and files. */
  readonly paths: readonly string[];
  readonly fresh: boolean;
  readonly tests: readonly string[];
}

/** What became of the mutants of one file. */
interface Counts {
  killed: number;
  timeout: number;
  survived: number;
  noCoverage: number;
  equivalent: number;
  ignored: number;
}

const noCounts = (): Counts => ({ killed: 0, timeout: 0, survived: 0, noCoverage: 0, equivalent: 0, ignored: 0 });

/** Share of the mutants that a test noticed, of those that one could notice, in per cent. */
function score({ killed, timeout, survived, noCoverage }: Counts): string {
  const noticed = killed + timeout;
  const all = noticed + survived + noCoverage;
  return all === 0 ? '-' : ((noticed / all) * 100).toFixed(1);
}

const row = (name: string, counts: Counts) =>
  [name.padEnd(52), score(counts).padStart(6), ...Object.values(counts).map((count) => String(count).padStart(6))].join(
    ' ',
  );

function equivalentOf(mutant: Mutant, file: string, lines: readonly string[]): Equivalent | undefined {
  const line = lines[mutant.location.start.line - 1] ?? '';
  return equivalents.find(
    (each) =>
      each.file === file &&
      line.includes(each.line) &&
      (each.replacement === undefined || each.replacement === mutant.replacement),
  );
}

function report(mutants: readonly Mutant[]): string {
  const files = new Map<
    string,
    { readonly counts: Counts; readonly left: string[]; readonly lines: readonly string[] }
  >();
  const met = new Set<Equivalent>();
  for (const mutant of mutants) {
    const file = relative(root, mutant.fileName).replace(/^.*\.local\/mutation\/work\/[^/]+\//, '');
    const seen = files.get(file) ?? {
      counts: noCounts(),
      left: [],
      lines: readFileSync(`${root}${file}`, 'utf8').split('\n'),
    };
    files.set(file, seen);
    const { counts, left, lines } = seen;
    switch (mutant.status) {
      case 'Killed':
      case 'RuntimeError':
      case 'CompileError':
        counts.killed += 1;
        break;
      case 'Timeout':
        counts.timeout += 1;
        break;
      case 'Ignored':
      case 'Pending':
        counts.ignored += 1;
        break;
      default: {
        const equivalent = equivalentOf(mutant, file, lines);
        if (equivalent) {
          met.add(equivalent);
          counts.equivalent += 1;
          break;
        }
        if (mutant.status === 'Survived') counts.survived += 1;
        else counts.noCoverage += 1;
        const { line, column } = mutant.location.start;
        const replacement = (mutant.replacement ?? '').replace(/\s+/g, ' ').slice(0, 120);
        left.push(
          `${file}:${line + 0}:${column} ${mutant.status} ${mutant.mutatorName}\n    ${(lines[line - 1] ?? '').trim()}\n    → ${replacement}`,
        );
      }
    }
  }
  const total = noCounts();
  for (const { counts } of files.values()) {
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += counts[key];
  }
  const stale = equivalents.filter((each) => files.has(each.file) && !met.has(each));
  return [
    ...[...files.values()].flatMap(({ left }) => left),
    ...stale.map(({ file, line }) => `${file}: no mutant is left of an equivalent one: ${line}`),
    '',
    `${'file'.padEnd(52)}  score killed  timed  alive  uncov equal ignored`,
    ...[...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { counts }]) => row(name, counts)),
    row('all', total),
  ].join('\n');
}

const { values, positionals } = parseArgs({
  options: { fresh: { type: 'boolean', default: false }, tests: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true,
});
process.chdir(root);
const paths = positionals.length > 0 ? positionals : usualPaths;
const mutants = await new Stryker(optionsFor({ paths, ...values })).runMutationTest();
const text = report(mutants);
writeFileSync('.local/mutation/report.txt', `${text}\n`);
console.log(text);
