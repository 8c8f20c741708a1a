import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A small app that has nothing to do with the project, in a folder of its own. */
export interface TestApp {
  readonly dir: string;
  remove(): Promise<void>;
}

export interface AppParts {
  /** CommonJS source; `app` of @azure/functions is in scope, with HTTP streaming on. */
  readonly source: string;
  readonly hostJson?: object;
  readonly localSettings?: object;
}

const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/** Bundles the source with the real @azure/functions, as an app would be deployed. */
export async function makeApp({ source, hostJson = {}, localSettings }: AppParts): Promise<TestApp> {
  const dir = await mkdtemp(path.join(tmpdir(), 'host-app-'));
  await build({
    stdin: {
      contents: `const { app } = require('@azure/functions');\napp.setup({ enableHttpStream: true });\n${source}`,
      resolveDir: dir,
      loader: 'js',
    },
    outfile: path.join(dir, 'main.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['@azure/functions-core'],
    nodePaths: [modules],
    logLevel: 'error',
  });
  await writeFile(path.join(dir, 'package.json'), JSON.stringify({ name: 'foreign', main: 'main.cjs' }));
  await writeFile(path.join(dir, 'host.json'), JSON.stringify({ version: '2.0', ...hostJson }));
  if (localSettings) await writeFile(path.join(dir, 'local.settings.json'), JSON.stringify(localSettings));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
