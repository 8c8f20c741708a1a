import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { build } from '../build.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'build-'));
});

afterEach(() => rm(directory, { recursive: true }));

test('the build answers the functions that its bundle registers', async () => {
  const outfile = join(directory, 'main.cjs');
  expect(await build({ entry: 'local/testdata/two-functions.ts', outfile })).toEqual(['hello', 'tick']);
  expect(await readdir(directory)).toEqual(['NOTICE', 'main.cjs', 'main.cjs.map']);
});

test('a bundle without functions is refused', async () => {
  const outfile = join(directory, 'main.cjs');
  await expect(build({ entry: 'local/testdata/no-functions.ts', outfile })).rejects.toThrow(/registers no functions/);
});

test('a library that would be loaded before it is needed is refused', async () => {
  const outfile = join(directory, 'main.cjs');
  await expect(build({ entry: 'local/testdata/heavy-functions.ts', outfile })).rejects.toThrow(
    'Imported at load: zod. Use import() where it is needed.',
  );
  expect(await readdir(directory)).toEqual([]);
});
