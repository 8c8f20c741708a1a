import { fileURLToPath } from 'node:url';
import { azdFindings } from './azd.ts';
import { findings, parameterSets } from './check.ts';
import { compile, hasDotnet, readCompiled } from './compile.ts';
import { readBicep } from './read/bicep-reader.ts';
import { deploy } from './read/deployment.ts';
import { InfraError, type Program } from './read/program.ts';

/** `npm run infra:check`: what is wrong with infra/, by its source and, where there is .NET, by what it compiles to. */

const root = new URL('../../', import.meta.url);

async function check(what: string, read: () => Promise<Program>): Promise<boolean> {
  const found: string[] = [];
  let counts = '';
  try {
    const program = await read();
    found.push(...findings(program), ...azdFindings(program, root));
    if (found.length === 0) {
      counts = parameterSets.map(({ values }) => deploy(program, values).resources.length).join(' and ');
    }
  } catch (error) {
    if (!(error instanceof InfraError)) throw error;
    found.push(error.message);
  }
  if (found.length === 0) {
    console.log(`${what}: passed (${counts} resources, without and with everything that can be switched on).`);
    return true;
  }
  console.error(`${what}: failed.`);
  for (const finding of found) console.error(`  ${finding}`);
  return false;
}

async function main(): Promise<number> {
  const bySource = await check('Parser check (the source, by its grammar)', () =>
    readBicep(fileURLToPath(new URL('infra/main.bicep', root))),
  );
  if (!(await hasDotnet())) {
    console.warn(
      'Compiler check: did not run, since there is no .NET SDK (8 or newer) here. Only the parser check ran.',
    );
    return bySource ? 0 : 1;
  }
  const output = fileURLToPath(new URL('dist/infra', root));
  const compiled = await check(
    'Compiler check (every file compiled and linted, no warning; the ARM templates)',
    async () => {
      await compile({ output });
      return await readCompiled(output);
    },
  );
  return bySource && compiled ? 0 : 1;
}

process.exitCode = await main();
