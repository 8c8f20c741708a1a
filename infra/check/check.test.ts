import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { azdFindings } from './azd.ts';
import { findings, parameterSets } from './check.ts';
import { compile, hasDotnet, readCompiled } from './compile.ts';
import type { Mistake } from './mistakes/mistake.ts';
import { mistakes } from './mistakes/mistakes.ts';
import { refused } from './mistakes/refused.ts';
import { readBicep } from './read/bicep-reader.ts';
import { deploy } from './read/deployment.ts';
import { InfraError, type Program } from './read/program.ts';

const infra = fileURLToPath(new URL('..', import.meta.url));
const root = new URL('../../', import.meta.url);
const dotnet = await hasDotnet();
if (!dotnet) console.warn('Skipped: the compiler on mistakes in infra/, since there is no .NET SDK here.');

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailroom-infra-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const folderOf = (kind: string, i: number) => `${kind}-${String(i).padStart(2, '0')}`;

/** What a deployment is made of. */
const sources = ['main.bicep', 'modules', 'alerts', 'workbook', 'bicepconfig.json'];

/** A copy of infra/ with one mistake in it. */
async function withMistake(target: string, { file, from, to }: Mistake): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const part of sources) {
    await cp(join(infra, part), join(target, part), { recursive: true });
  }
  const text = await readFile(join(target, file), 'utf8');
  expect(text.split(from), `${file} has it once`).toHaveLength(2);
  await writeFile(
    join(target, file),
    text.replace(from, () => to),
  );
}

/** Every finding, those that stop the reader included. */
async function found(read: () => Promise<Program>): Promise<string> {
  try {
    return findings(await read()).join('\n');
  } catch (error) {
    if (error instanceof InfraError) return error.message;
    throw error;
  }
}

describe('infra/ as it is', () => {
  it('has nothing that a rule is against, and azd is given the same', async () => {
    const program = await readBicep(join(infra, 'main.bicep'));
    expect(findings(program)).toEqual([]);
    expect([...azdFindings(program, root)]).toEqual([]);
  });
});

describe('the parser check finds', () => {
  it.each([...mistakes, ...refused].map((mistake, i) => ({ ...mistake, i })))('$title', async (mistake) => {
    const target = join(folder, folderOf('parsed', mistake.i));
    await withMistake(target, mistake);
    expect(await found(() => readBicep(join(target, 'main.bicep')))).toMatch(mistake.finding);
  });
});

describe.skipIf(!dotnet)('the compiler check', () => {
  const compiled = process.env.SOAK ? mistakes : mistakes.filter(({ inShortRun }) => inShortRun);
  let source: string;
  let output: string;

  beforeAll(async () => {
    source = join(folder, 'compiled');
    output = join(folder, 'templates');
    await Promise.all(compiled.map((mistake, i) => withMistake(join(source, folderOf('mistake', i)), mistake)));
    for (const part of sources) {
      await cp(join(infra, part), join(source, 'right', part), { recursive: true });
    }
    await compile({ source, pattern: '**/main.bicep', output });
  }, 600_000);

  it('reads from the ARM template what the parser check reads from the source', async () => {
    const template = await readCompiled(join(output, 'right'));
    const source = await readBicep(join(infra, 'main.bicep'));
    expect(findings(template)).toEqual([]);
    for (const { values } of parameterSets) {
      const [one, other] = [deploy(template, values), deploy(source, values)];
      const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
      expect([...one.resources].sort(byId)).toEqual([...other.resources].sort(byId));
      expect(one.outputs).toEqual(other.outputs);
    }
  });

  it.each(compiled.map((mistake, i) => ({ ...mistake, i })))('finds $title', async ({ i, finding }) => {
    expect(await found(() => readCompiled(join(output, folderOf('mistake', i))))).toMatch(finding);
  });

  it('fails on every warning and every error, naming the file', { timeout: 300_000 }, async () => {
    const wrong = join(folder, 'refused');
    await Promise.all(refused.map((mistake, i) => withMistake(join(wrong, folderOf('refused', i)), mistake)));
    const compiling = compile({ source: wrong, pattern: '**/main.bicep', output: join(folder, 'nothing') });
    const said = await compiling.then(
      () => 'nothing',
      (error: unknown) => (error instanceof InfraError ? error.message : String(error)),
    );
    for (const [i, { title, file, compiler }] of refused.entries()) {
      const lines = said.split('\n').filter((line) => line.includes(join(folderOf('refused', i), file)));
      expect(lines.join('\n'), title).toMatch(compiler);
    }
  });
});
