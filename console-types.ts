import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `node console-types.ts`: makes `console/api/openapi.d.ts`, the types of every route as the console calls it, of the
 * schemas that validate. It is not kept in Git, so that it cannot be of another version than they are.
 */

const root = fileURLToPath(new URL('.', import.meta.url));
const file = join(root, 'console/api/openapi.d.ts');
/** What the types were last made of: making them takes seconds. */
const source = join(root, 'dist/console-types.json');

const { openApiDocument } = await import('./shared/http/openapi/document.ts');
const document = JSON.stringify(openApiDocument('0.0.0'));
const before = await Promise.all([readFile(source, 'utf8'), readFile(file)]).catch(() => undefined);
if (before?.[0] !== document) {
  // It writes by TypeScript's own API, which TypeScript 7 does not have yet.
  registerHooks({
    resolve: (specifier, context, next) => next(specifier === 'typescript' ? 'typescript-classic' : specifier, context),
  });
  const { default: openapiTypes, astToString } = await import('openapi-typescript');
  const types = astToString(await openapiTypes(JSON.parse(document), { alphabetize: true, defaultNonNullable: false }));
  await put(file, types);
  await put(source, document);
}

async function put(to: string, text: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await writeFile(`${to}.${process.pid}`, text);
  await rename(`${to}.${process.pid}`, to);
}
