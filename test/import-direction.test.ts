import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';

/** The rules of `npm run check`, tried on files with one import each, in a tree of the same shape. */

const root = fileURLToPath(new URL('..', import.meta.url));

const refused = [
  ['shared/platform', '../accounts/model.ts'],
  ['shared/platform', '../http/problem.ts'],
  ['shared/mime', '../platform/clock.ts'],
  ['shared/secrets', '../adapters/store.ts'],
  ['shared/accounts/properties', '../../adapters/net/tls.ts'],
  ['shared/limits', '../inbox/context.ts'],
  ['shared/stats', '../outbox/record.ts'],
  ['shared/platform', '../stats/day-counts.ts'],
  ['shared/adapters/imap/store', '../../../inbox/context.ts'],
  ['shared/adapters', '../outbox/record.ts'],
  ['shared/inbox/importing', '../../http/problem.ts'],
  ['shared/outbox', '../http/problem.ts'],
  ['shared/outbox/accepting', '../../http/body.ts'],
  ['shared/http', '../../functions/app/services.ts'],
  ['shared/inbox', '../../local/graph/graph.ts'],
  ['functions', '../local/graph/graph.ts'],
  ['local/graph', '../../shared/adapters/store.ts'],
  ['local/graph', '../../console/api/problem.ts'],
  ['functions', '../console/api/problem.ts'],
  ['console/api', '../../shared/http/problem.ts'],
  ['console/screens/accounts', '../../../local/graph/graph.ts'],
] as const;

const allowed = [
  ['functions', '../shared/http/problem.ts'],
  ['shared/http', '../outbox/record.ts'],
  ['shared/inbox/importing', '../../adapters/store.ts'],
  ['shared/adapters/imap', '../../accounts/model.ts'],
  ['shared/accounts', '../platform/clock.ts'],
  ['shared/outbox/delivering', '../../stats/day-counts.ts'],
  ['shared/mime', './dates.ts'],
  ['console/screens/accounts', '../../api/problem.ts'],
] as const;

const reportSchema = z.object({
  diagnostics: z.array(z.object({ category: z.string(), location: z.object({ path: z.string() }) })),
});

let tree: string;
let found: ReadonlySet<string>;

const fileOf = ([folder, from]: readonly [string, string]) => `${folder}/imports-${from.replace(/\W+/g, '-')}.ts`;

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'imports-'));
  await cp(join(root, 'biome.json'), join(tree, 'biome.json'));
  for (const pair of [...refused, ...allowed]) {
    const file = join(tree, fileOf(pair));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `import { thing } from '${pair[1]}';\n\nexport const other = thing;\n`);
  }
  const { stdout } = spawnSync(
    join(root, 'node_modules/.bin/biome'),
    ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.'],
    { cwd: tree, encoding: 'utf8' },
  );
  const { diagnostics } = reportSchema.parse(JSON.parse(stdout));
  found = new Set(
    diagnostics
      .filter(({ category }) => category === 'lint/style/noRestrictedImports')
      .map(({ location }) => location.path.replace(/^\.\//, '')),
  );
});

afterAll(async () => {
  await rm(tree, { recursive: true, force: true });
});

it.each(refused)('refuses %s an import of %s', (...pair) => {
  expect(found).toContain(fileOf(pair));
});

it.each(allowed)('lets %s import %s', (...pair) => {
  expect(found).not.toContain(fileOf(pair));
});
