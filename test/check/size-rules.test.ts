import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';

/** The rules of `npm run check` on sizes and cycles, tried on files in a tree of the same shape. */

const root = fileURLToPath(new URL('../..', import.meta.url));

const lines = (count: number) => Array.from({ length: count }, (_, n) => `export const line${n} = 1;\n`).join('');

const params = 'lint/complexity/useMaxParams';
const length = 'lint/style/noExcessiveLinesPerFile';
const cycle = 'lint/suspicious/noImportCycles';

const files: Readonly<Record<string, string>> = {
  'shared/platform/five.ts': 'export const five = (a: 1, b: 1, c: 1, d: 1, e: 1) => [a, b, c, d, e];\n',
  'shared/platform/four.ts': 'export const four = (a: 1, b: 1, c: 1, d: 1) => [a, b, c, d];\n',
  'functions/five.ts': 'export const five = (a: 1, b: 1, c: 1, d: 1, e: 1) => [a, b, c, d, e];\n',
  'shared/inbox/long.ts': lines(301),
  'shared/inbox/short.ts': lines(300),
  'shared/inbox/long.test.ts': lines(301),
  'shared/outbox/one.ts': "import { two } from './two.ts';\n\nexport const one = () => two;\n",
  'shared/outbox/two.ts': "import { one } from './one.ts';\n\nexport const two = () => one;\n",
  'shared/outbox/three.ts': "import { one } from './one.ts';\n\nexport const three = one;\n",
  'shared/assets/type-one.ts': "import type { Two } from './type-two.ts';\n\nexport type One = Two;\n",
  'shared/assets/type-two.ts': "import type { One } from './type-one.ts';\n\nexport type Two = One;\n",
};

const reportSchema = z.object({
  diagnostics: z.array(z.object({ category: z.string(), location: z.object({ path: z.string() }) })),
});

let tree: string;
let found: readonly string[];

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'sizes-'));
  await cp(join(root, 'biome.json'), join(tree, 'biome.json'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  const { stdout } = spawnSync(
    join(root, 'node_modules/.bin/biome'),
    ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.'],
    { cwd: tree, encoding: 'utf8' },
  );
  const { diagnostics } = reportSchema.parse(JSON.parse(stdout));
  found = diagnostics
    .filter(({ category }) => [params, length, cycle].includes(category))
    .map(({ category, location }) => `${category} ${location.path.replace(/^\.\//, '')}`)
    .sort();
});

afterAll(async () => {
  await rm(tree, { recursive: true, force: true });
});

it('refuses five parameters, more than 300 lines of product code, and cycles of imports, those of types included, and nothing else', () => {
  expect(found).toEqual(
    [
      `${params} shared/platform/five.ts`,
      `${params} functions/five.ts`,
      `${length} shared/inbox/long.ts`,
      `${cycle} shared/outbox/one.ts`,
      `${cycle} shared/outbox/two.ts`,
      `${cycle} shared/assets/type-one.ts`,
      `${cycle} shared/assets/type-two.ts`,
    ].sort(),
  );
});
