import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Program } from './read/program.ts';

const parameterFile = z.object({ parameters: z.record(z.string(), z.object({ value: z.unknown() })) });

/** azd puts an environment variable in, or what stands behind `=` where there is none (drone/envsubst). */
const variable = /^\$\{(?<name>[A-Z_]+)(=(?<otherwise>[^}]*))?\}$/;

/**
 * main.parameters.json and azure.yaml agree with main.bicep: what azd cannot be given in the environment cannot be set
 * with it at all, and a default that stands in both files is the same.
 */
export function* azdFindings(program: Program, root: URL): Iterable<string> {
  const file = parameterFile.parse(JSON.parse(readFileSync(new URL('infra/main.parameters.json', root), 'utf8')));
  for (const name of Object.keys(file.parameters)) {
    if (!program.parameters.some((parameter) => parameter.name === name)) {
      yield `main.parameters.json: main.bicep has no parameter ${name}`;
    }
  }
  for (const { name, type, defaultValue } of program.parameters) {
    // Worked out from others.
    if (defaultValue && !['literal', 'object', 'array'].includes(defaultValue.kind)) continue;
    const given = file.parameters[name];
    if (!given) {
      yield `main.parameters.json: ${name} is missing`;
      continue;
    }
    if (type === 'array' || type === 'object') continue;
    const { otherwise } = variable.exec(String(given.value))?.groups ?? {};
    const wanted = defaultValue?.kind === 'literal' ? String(defaultValue.value) : '';
    if ((otherwise ?? '') !== wanted) {
      yield `main.parameters.json: ${name} is ${String(given.value)}, where main.bicep says ${wanted}`;
    }
  }
  const yaml = readFileSync(new URL('azure.yaml', root), 'utf8');
  if (!/^services:\n {2}api:\n/m.test(yaml)) yield 'azure.yaml: the service is called api, as the tag of the app';
  if (!/^ {4}remoteBuild: false$/m.test(yaml)) yield 'azure.yaml: nothing is built in Azure';
  const ignore = new URL('.funcignore', root);
  if (existsSync(ignore) && /node_modules/.test(readFileSync(ignore, 'utf8'))) {
    yield '.funcignore: azd refuses one that leaves node_modules out together with remoteBuild: false';
  }
}
