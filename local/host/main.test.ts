import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../ports.ts';
import { forkHost, type HostProcess } from './testdata/host-process.ts';
import { type AppParts, makeApp, type TestApp } from './testdata/make-app.ts';
import { eventually, HOST_KEY } from './testdata/test-host.ts';

const apps: TestApp[] = [];
const hosts: HostProcess[] = [];

async function appDir(parts: AppParts): Promise<string> {
  const app = await makeApp(parts);
  apps.push(app);
  return app.dir;
}

function start(args: readonly string[], env?: NodeJS.ProcessEnv): HostProcess {
  const host = forkHost(args, env);
  hosts.push(host);
  return host;
}

afterEach(async () => {
  for (const host of hosts.splice(0)) {
    host.child.kill('SIGKILL');
    await host.exit;
  }
  await Promise.all(apps.splice(0).map((app) => app.remove()));
});

const SLOW = `
app.http('slow', { methods: ['GET'], authLevel: 'function', handler: async () => { await new Promise((r) => setTimeout(r, 400)); return { body: 'answered' }; } });
app.http('stuck', { methods: ['GET'], authLevel: 'anonymous', handler: () => new Promise(() => undefined) });
app.hook.appStart(() => console.log('hook: appStart'));
app.hook.appTerminate(() => console.log('hook: appTerminate'));`;

test('starts, says so, serves, and drains on SIGTERM with code 0', async () => {
  const host = start(['--app', await appDir({ source: SLOW }), '--port', '0']);
  const port = await host.ready;
  expect(host.messages).toEqual([{ type: 'ready', port }]);
  await eventually('the ready line', () =>
    host.output().includes(`Functions host listening on http://127.0.0.1:${port}`),
  );
  const answer = fetch(`http://127.0.0.1:${port}/api/slow`, { headers: { 'x-functions-key': HOST_KEY } });
  await eventually('the invocation', () => host.output().includes("Executing 'Functions.slow'"));
  host.child.kill('SIGTERM');
  expect(await (await answer).text()).toBe('answered');
  expect(await host.exit).toEqual([0, null]);
  expect(host.output()).toMatch(/hook: appStart[\s\S]*hook: appTerminate[\s\S]*Succeeded/);
});

test('stops when its parent closes the channel', async () => {
  const host = start(['--app', await appDir({ source: SLOW })], { PORT: '0' });
  await host.ready;
  host.child.disconnect();
  expect(await host.exit).toEqual([0, null]);
});

test('functionTimeout fails the invocation and asks for a restart by exit code 75', async () => {
  const dir = await appDir({ source: SLOW, hostJson: { functionTimeout: '00:00:00.3' } });
  const host = start(['--app', dir, '--port', '0']);
  const port = await host.ready;
  await expect(fetch(`http://127.0.0.1:${port}/api/stuck`)).rejects.toThrow();
  expect(await host.exit).toEqual([75, null]);
  expect(host.messages).toContainEqual({ type: 'restart', reason: 'functionTimeout', functionName: 'stuck' });
  expect(host.output()).toContain("exceeded by 'stuck'");
});

test.each([
  ['wrong arguments', async () => ['--port', '0'], 2, 'usage:'],
  ['no app', async () => ['--app', '/nowhere', '--port', '0'], 1, 'host.json could not be read'],
  [
    'an app that throws while loading',
    async () => ['--app', await appDir({ source: `throw new Error('broken at load')` }), '--port', '0'],
    1,
    'main.cjs could not be loaded: broken at load',
  ],
  [
    'encrypted settings',
    async () => ['--app', await appDir({ source: SLOW, localSettings: { Values: {} } }), '--port', '0'],
    1,
    'missing means true',
  ],
])('%s: a clear line and its exit code', async (_what, args, code, line) => {
  const host = start(await args());
  expect(await host.exit).toEqual([code, null]);
  expect(host.output()).toContain(line);
});

test('without a channel it runs as a plain command', async () => {
  const dir = await appDir({ source: SLOW });
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, '--app', dir, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exit = once(child, 'exit');
  await eventually('the ready line', () => output.includes('Functions host listening on http://127.0.0.1:'));
  expect(output).toMatch(/^LOCAL_MASTER_KEY=\S{43}$/m);
  child.kill('SIGINT');
  expect(await exit).toEqual([0, null]);
});

test('answers 503 until the app is ready', async () => {
  const source = `app.http('x', { methods: ['GET'], authLevel: 'anonymous', handler: () => ({ body: 'x' }) });
    app.hook.appStart(() => new Promise((resolve) => { const { existsSync } = require('node:fs'); console.log('hook: waits');
      const poll = setInterval(() => { if (existsSync(__dirname + '/go')) { clearInterval(poll); resolve(); } }, 10); }));`;
  const dir = await appDir({ source });
  const port = await freePort();
  const host = start(['--app', dir, '--port', String(port)]);
  await eventually('the hook', () => host.output().includes('hook: waits'));
  const early = await fetch(`http://127.0.0.1:${port}/api/x`);
  expect([early.status, await early.text()]).toEqual([503, 'Function host is not running.']);
  expect((await fetch(`http://127.0.0.1:${port}/admin/host/ping`)).status).toBe(200);
  await writeFile(path.join(dir, 'go'), '');
  await host.ready;
  expect(await (await fetch(`http://127.0.0.1:${port}/api/x`)).text()).toBe('x');
});

test('loads ES modules by a glob, too', async () => {
  const dir = await appDir({ source: '' });
  const bundle = await readFile(path.join(dir, 'main.cjs'), 'utf8');
  await mkdir(path.join(dir, 'functions'));
  await mkdir(path.join(dir, 'node_modules', '@azure', 'functions'), { recursive: true });
  // The library as a package of the app's own, as an unbundled app has it.
  await writeFile(
    path.join(dir, 'node_modules/@azure/functions/index.cjs'),
    `${bundle}\nmodule.exports = require_azure_functions();`,
  );
  await writeFile(path.join(dir, 'node_modules/@azure/functions/package.json'), '{"main":"index.cjs"}');
  for (const name of ['b', 'a']) {
    await writeFile(
      path.join(dir, 'functions', `${name}.js`),
      `import functions from '@azure/functions';\nfunctions.app.http('${name}', { methods: ['GET'], authLevel: 'anonymous', handler: () => ({ body: '${name}' }) });`,
    );
  }
  await writeFile(path.join(dir, 'package.json'), '{"type":"module","main":"{none.js,functions/*.js}"}');
  await rm(path.join(dir, 'main.cjs'));
  const host = start(['--app', dir, '--port', '0']);
  const port = await host.ready;
  expect(await (await fetch(`http://127.0.0.1:${port}/api/a`)).text()).toBe('a');
  expect(await (await fetch(`http://127.0.0.1:${port}/api/b`)).text()).toBe('b');
});

const MB = 1_048_576;
const BODY = 300 * MB;

test('300 MB in and 300 MB out cost a fraction of that in memory', { timeout: 180_000 }, async () => {
  const source = `
    const peak = () => process.resourceUsage().maxRSS;
    app.http('peak', { methods: ['GET'], authLevel: 'anonymous', handler: () => ({ body: String(peak()) }) });
    app.http('count', { methods: ['POST'], authLevel: 'anonymous', handler: async (req) => { let n = 0; for await (const chunk of req.body) n += chunk.length; return { body: String(n) }; } });
    app.http('make', { methods: ['GET'], authLevel: 'anonymous', handler: () => ({ body: (async function* () {
      const chunk = Buffer.alloc(65536, 'x'); for (let n = 0; n < ${BODY / 65_536}; n += 1) { await new Promise(setImmediate); yield chunk; } })() }) });`;
  const host = start(['--app', await appDir({ source }), '--port', '0'], {
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(BODY),
  });
  const url = `http://127.0.0.1:${await host.ready}/api`;
  const peak = async () => Number(await (await fetch(`${url}/peak`)).text()) * 1_024;
  const before = await peak();

  const upload = http.request(`${url}/count`, { method: 'POST' });
  const answered = once(upload, 'response');
  const chunk = Buffer.alloc(MB, 'y');
  for (let sent = 0; sent < BODY / MB; sent += 1) {
    if (!upload.write(chunk)) await once(upload, 'drain');
    await turn();
  }
  upload.end();
  const [response] = (await answered) as [http.IncomingMessage];
  expect((await response.toArray()).join('')).toBe(String(BODY));

  let received = 0;
  const download = await fetch(`${url}/make`);
  for await (const part of download.body ?? []) received += part.length;
  expect(received).toBe(BODY);

  // Room for the collector's laziness, which does not grow with the body.
  expect((await peak()) - before).toBeLessThan(BODY / 2);
});
