import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTransport } from 'nodemailer';
import { afterEach, expect, test, vi } from 'vitest';
import { freePort } from './ports.ts';

const start = fileURLToPath(new URL('start.ts', import.meta.url));
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function dataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'start-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** What stands behind `label` in the output. */
  readonly said: (label: RegExp) => number;
  readonly ended: Promise<unknown[]>;
}

function run(env: Readonly<Record<string, string>>): Run {
  const child = spawn(process.execPath, [start], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  }
  const ended = once(child, 'exit');
  cleanups.push(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return { child, output: () => output, said: (label) => Number(label.exec(output)?.[1]), ended };
}

/** A whole laptop starts, on a machine that may be busy with other suites. */
vi.setConfig({ testTimeout: 120_000 });

async function ready(env: Readonly<Record<string, string>>): Promise<Run & { pids: readonly number[] }> {
  const started = run(env);
  await expect.poll(started.output).toContain(`Mailroom ready on http://127.0.0.1:${env.PORT}`);
  return { ...started, pids: [started.said(/Functions: pid (\d+)/), started.said(/Azurite: pid (\d+)/)] };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('it answers, takes mail, brings killed functions back, and SIGTERM ends all of it', async () => {
  const port = await freePort();
  const { child, ended, output, said, pids } = await ready({
    PORT: String(port),
    LOCAL_DATA_DIR: await dataDirectory(),
    LOCAL_FUNCTION_KEY: 'given-key',
  });
  expect(output()).not.toContain('given-key');
  expect((await fetch(`http://127.0.0.1:${port}/api/health`)).status).toBe(200);
  expect(output()).toContain(`http://127.0.0.1:${port}/api/console`);
  const mailboxes = `http://127.0.0.1:${port}/.well-known/mailroom-mailboxes`;
  expect((await fetch(mailboxes)).status).toBe(401);
  const offered = await (await fetch(mailboxes, { headers: { 'x-functions-key': 'given-key' } })).json();
  expect(offered).toMatchObject([{ name: 'corpus' }, { name: 'graph-demo' }]);

  const sink = createTransport({ host: '127.0.0.1', port: said(/SMTP sink: 127\.0\.0\.1:(\d+)/), ignoreTLS: true });
  await sink.sendMail({ from: 'a@example.com', to: 'corpus@example.com', text: 'hello' });

  const [functions = 0, azurite = 0] = pids;
  process.kill(functions, 'SIGKILL');
  await expect.poll(() => output().split('Mailroom ready').length).toBe(3);
  expect((await fetch(`http://127.0.0.1:${port}/api/health`)).status).toBe(200);
  const again = Number(
    output()
      .match(/Functions: pid (\d+)/g)
      ?.at(-1)
      ?.match(/\d+/)?.[0],
  );
  expect(again).not.toBe(functions);
  expect(isAlive(azurite)).toBe(true);

  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect([again, azurite].map(isAlive)).toEqual([false, false]);
});

test('mail to the Graph mailbox is imported by an account made of what was printed', async () => {
  const port = await freePort();
  const { output, said } = await ready({
    PORT: String(port),
    LOCAL_DATA_DIR: await dataDirectory(),
    LOCAL_FUNCTION_KEY: 'given-key',
  });
  const app = /Its app, with Mail.ReadWrite and Mail.Send: tenant (\S+), client (\S+), secret (\S+)/.exec(output());
  const user = /Graph stand-in: https:\/\/localhost:\d+, mailbox (\S+)/.exec(output())?.[1] ?? '';
  expect(user).toBe('graph@example.com');
  const sink = createTransport({ host: '127.0.0.1', port: said(/SMTP sink: 127\.0\.0\.1:(\d+)/), ignoreTLS: true });
  await sink.sendMail({ from: 'a@example.com', to: user, subject: 'for Graph', text: 'hello' });

  const call = async (method: string, path: string, body: object, prefer = '') => {
    const headers = { 'x-functions-key': 'given-key', 'content-type': 'application/json', prefer };
    const url = `http://127.0.0.1:${port}/api/accounts/box${path}`;
    const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json() };
  };
  const credential = { type: 'clientSecret', tenantId: app?.[1], clientId: app?.[2], secret: 'box-client-secret' };
  const account = {
    from: user,
    store: { protocol: 'graph', userId: user, credential },
    import: { schedule: null },
  };
  expect(await call('PUT', '', account)).toMatchObject({ status: 201 });
  expect(await call('PUT', '/secrets/box-client-secret', { value: app?.[3] })).toMatchObject({ status: 200 });
  expect(await call('POST', '/import', {}, 'wait=30')).toMatchObject({
    status: 200,
    body: { status: 'done', imported: 1 },
  });
});

test('when it is killed itself, its processes end by themselves', async () => {
  const { child, ended, pids } = await ready({ PORT: String(await freePort()), LOCAL_DATA_DIR: await dataDirectory() });
  child.kill('SIGKILL');
  await ended;
  await expect.poll(() => pids.map(isAlive)).toEqual([false, false]);
});

test('a port in use is one clear line', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const address = server.address();
  const port = String(typeof address === 'object' && address?.port);
  const { ended, output } = run({ PORT: port, LOCAL_DATA_DIR: await dataDirectory() });
  expect(await ended).toEqual([1, null]);
  expect(output()).toBe(`Port ${port} on 127.0.0.1 is in use; choose another with PORT=...\n`);
});
