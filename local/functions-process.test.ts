import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { type FunctionsProcess, functionsProcess } from './functions-process.ts';

const command = [fileURLToPath(new URL('testdata/echo-process.ts', import.meta.url))] as const;
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function functions(env: Record<string, string> = {}) {
  const heard: string[] = [];
  const process_: FunctionsProcess = functionsProcess({
    env: { ...process.env, ...env },
    port: 0,
    output: 'inherit',
    command,
    onReady: (_, port) => heard.push(`ready ${port}`),
    onCrash: (how) => heard.push(how),
  });
  cleanups.push(() => process_.stop());
  return { process: process_, heard };
}

const ask = async (port: number) => Number(await (await fetch(`http://127.0.0.1:${port}`)).text());

test('a process that is killed comes back on the same port', async () => {
  const { process: functionsUnderTest, heard } = functions();
  const first = await functionsUnderTest.start();
  expect(await ask(first.port)).toBe(first.pid);
  process.kill(first.pid, 'SIGKILL');
  const ready = `ready ${first.port}`;
  await expect.poll(() => heard).toEqual([ready, 'SIGKILL', ready]);
  expect(await ask(first.port)).not.toBe(first.pid);
});

test('one that never answered is not started again', async () => {
  const { process: functionsUnderTest, heard } = functions({ FAIL: '1' });
  await expect(functionsUnderTest.start()).rejects.toThrow('ended (exit code 3) before it answered');
  expect(heard).toEqual([]);
});

test('one that is stopped stays stopped', async () => {
  const { process: functionsUnderTest, heard } = functions();
  const { port } = await functionsUnderTest.start();
  await functionsUnderTest.stop();
  await expect(ask(port)).rejects.toThrow();
  expect(heard).toEqual([`ready ${port}`]);
});
