import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundled } from './bundled.ts';

let directory = '';
const program = () => join(directory, 'program.ts');

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mailroom-bundled-'));
  await writeFile(program(), "import { word } from './word.ts';\nconst said: string = word;\nconsole.log(said);\n");
  await writeFile(join(directory, 'word.ts'), "export const word = 'first';\n");
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const says = async (file: string) => (await promisify(execFile)(process.execPath, [file])).stdout;

test('a program runs from one file, which is made again when a file that it imports has changed', async () => {
  const first = await bundled(program());
  expect(await says(first)).toBe('first\n');
  expect(await bundled(program())).toBe(first);
  await writeFile(join(directory, 'word.ts'), "export const word = 'another';\n");
  const second = await bundled(program());
  expect(second).not.toBe(first);
  expect(await says(second)).toBe('another\n');
  // Whoever runs the first may still load a part of it.
  expect(await says(first)).toBe('first\n');
});

test('a program with a mistake says where it is', async () => {
  const mistaken = join(directory, 'mistaken.ts');
  await writeFile(mistaken, "import './not-there.ts';\n");
  await expect(bundled(mistaken)).rejects.toThrow('not-there.ts');
});
