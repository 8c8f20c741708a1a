import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { type Azurite, startAzurite } from './azurite.ts';
import { readThings, writeThings, writtenThings } from './testdata/stored-things.ts';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(...options: Parameters<typeof startAzurite>): Promise<Azurite> {
  const azurite = await startAzurite(...options);
  cleanups.push(() => azurite.stop());
  return azurite;
}

async function dataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'azurite-'));
  cleanups.push(() => rm(directory, { recursive: true }));
  return directory;
}

/** Whether a process with this id is still there. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('data written just before a stop is there after a restart on the same ports', async () => {
  const location = await dataDirectory();
  const first = await started({ location });
  await writeThings(first.connectionString);
  await first.stop();
  expect(isAlive(first.pid)).toBe(false);

  const ports = { blob: first.blobPort, queue: first.queuePort, table: first.tablePort };
  const second = await started({ location, ports });
  expect(second.connectionString).toBe(first.connectionString);
  expect(await readThings(second.connectionString)).toEqual(writtenThings);
});

test('it writes its data down and ends when its parent is killed', async () => {
  const location = await dataDirectory();
  const script = fileURLToPath(new URL('testdata/azurite-parent.ts', import.meta.url));
  const parent = spawn(process.execPath, [script, location], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => isAlive(pid)).toBe(false);

  const { connectionString } = await started({ location });
  expect(await readThings(connectionString)).toEqual(writtenThings);
});

test('in memory nothing is kept, and two run side by side', async () => {
  const [one, other] = await Promise.all([started(), started()]);
  await writeThings(one.connectionString);
  expect(await readThings(one.connectionString)).toEqual(writtenThings);
  await expect(readThings(other.connectionString)).rejects.toThrow();
});

test('a start that fails says why', async () => {
  const running = await started();
  const ports = { blob: running.blobPort, queue: 0, table: 0 };
  await expect(started({ ports })).rejects.toThrow(/EADDRINUSE/);
});
