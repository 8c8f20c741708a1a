import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { makePackage, type Package } from '../package.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

let directory: string;
let made: Package;
/** The zip, unpacked where there is nothing else. */
let app: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'package-'));
  made = await makePackage({ directory: join(directory, 'made') });
  app = join(directory, 'app');
  await mkdir(app);
  for (const [name, content] of Object.entries(unzipSync(await readFile(made.zip)))) {
    await writeFile(join(app, name), content);
  }
});

afterAll(() => rm(directory, { recursive: true, force: true }));

test('the zip holds the bundle, what describes the service, the console, host.json, the notices and a manifest without dependencies, and nothing else', async () => {
  const later = expect.stringMatching(/^later-[0-9a-f]{8}\.cjs$/);
  const described = ['docs.css.gz', 'docs.js.gz'];
  const files = ['NOTICE', ...described, 'host.json', later, 'main.cjs', 'openapi.json.gz', 'package.json'];
  const found = await readdir(app);
  const ofConsole = found.filter((name) => name.startsWith('console'));
  expect(found.filter((name) => !ofConsole.includes(name))).toEqual(files);
  expect(ofConsole).toEqual(expect.arrayContaining(['console.html.gz', 'console-frame.html.gz']));
  for (const name of ofConsole)
    expect(name).toMatch(/^console(?:-frame)?\.html\.gz$|^console-[\w-]+\.(?:js|css|svg)\.gz$/);
  expect(await bytesOf(ofConsole)).toBeLessThanOrEqual(250_000);
  // Apache-2.0 and the MIT licence want their texts to go along with copies.
  const notice = await readFile(join(app, 'NOTICE'), 'utf8');
  for (const name of [
    '@azure/functions',
    'nodemailer',
    'imapflow',
    'zod',
    'swagger-ui-dist',
    'preact',
    'openapi-fetch',
  ])
    expect(notice).toContain(`${name} `);
  expect(await readdir(made.directory)).toEqual(await readdir(app));
  const manifest = JSON.parse(await readFile(join(app, 'package.json'), 'utf8'));
  expect(manifest).toEqual({ name: 'mailroom', version: expect.any(String), private: true, main: 'main.cjs' });
  expect(await readFile(join(app, 'host.json'), 'utf8')).toBe(await readFile(join(root, 'host.json'), 'utf8'));
  expect((await readFile(made.zip)).length).toBe(made.bytes);
  expect(made.bytes).toBeLessThanOrEqual(3_000_000);
});

test('the same sources make the same bytes, in any time zone', async () => {
  const again = join(directory, 'again');
  const script = `import { makePackage } from './package.ts'; await makePackage({ directory: process.argv[1] });`;
  const args = ['--input-type=module', '--eval', script, again];
  await run(process.execPath, args, { cwd: root, env: { ...process.env, TZ: 'Asia/Tokyo' } });
  expect((await readFile(join(again, 'mailroom.zip'))).equals(await readFile(made.zip))).toBe(true);
});

test('a package that is too large is refused, and the one before it stays', async () => {
  const before = await readFile(made.zip);
  await expect(makePackage({ directory: dirname(made.zip), maxBytes: 100_000 })).rejects.toThrow(
    /^The package has \d+ bytes; at most 100000 are allowed$/,
  );
  expect((await readFile(made.zip)).equals(before)).toBe(true);
  expect((await readdir(dirname(made.zip))).sort()).toEqual(['mailroom.zip', 'package']);
});

test('each file of functions/ registers one function, under its name, and it is in the package', async () => {
  const files = (await readdir(join(root, 'functions'))).filter((file) => file.endsWith('.ts') && file !== 'index.ts');
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) {
    const text = await readFile(join(root, 'functions', file), 'utf8');
    const names = [...text.matchAll(/^(?:endpoint|openEndpoint|timer|app\.[a-zA-Z]+)\(\s*'([^']+)'/gm)].map(
      ([, name]) => name,
    );
    expect(names).toEqual([file.replace(/\.ts$/, '')]);
  }
  expect([...made.functions].sort()).toEqual(files.map((file) => file.replace(/\.ts$/, '')).sort());
});

/** Loads the package as the worker does, and says which of its files Node has read, before and after a call. */
const probe = `
const Module = require('node:module');
const functions = new Map();
const hooks = [];
const disposable = { dispose() {} };
const core = {
  version: '4.0.0', hostVersion: '4.0.0', log() {}, setProgrammingModel() {}, getProgrammingModel() {},
  registerFunction(metadata, callback) { functions.set(metadata.name, callback); return disposable; },
  registerHook() { return disposable; },
  Disposable: class { dispose() {} },
};
const load = Module.prototype.require;
const asked = [];
Module.prototype.require = function (id) {
  if (id === '@azure/functions-core') return core;
  if (!Module.isBuiltin(id)) asked.push(id);
  return load.call(this, id);
};
const main = process.argv[1];
require(main);
const files = () => Object.keys(require.cache).map((file) => require('node:path').basename(file));
const atStart = { files: files(), asked: asked.slice(1), functions: functions.size };
const context = { functionName: 'health', info() {}, warn() {}, error() {} };
const request = { headers: new Headers(), query: new URLSearchParams(), params: {} };
Promise.resolve(functions.get('health')(request, context)).then(
  ({ status }) => console.log(JSON.stringify({ atStart, status, atCall: files() })),
);
`;

test('nothing but the first file is read before the first call', async () => {
  const { stdout } = await run(process.execPath, ['--eval', probe, join(app, 'main.cjs')], {
    cwd: app,
    env: { PATH: process.env.PATH },
  });
  const later = made.files.find((name) => name.startsWith('later-'));
  expect(JSON.parse(stdout)).toEqual({
    atStart: { files: ['main.cjs'], asked: [], functions: made.functions.length },
    // Without settings; but it has loaded what finds that out.
    status: 503,
    atCall: ['main.cjs', later],
  });
});

test('the demo is true from the unpacked zip alone', { timeout: 180_000 }, async () => {
  for (let above = app; above !== dirname(above); above = dirname(above)) {
    await expect(access(join(above, 'node_modules'))).rejects.toThrow('ENOENT');
  }
  const child = spawn(process.execPath, [join(root, 'local/demo.ts'), '--app', app], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await closed;
  });
  const output = outputOf(child);
  const [code] = z.tuple([z.number().nullable(), z.unknown()]).parse(await closed);
  expect(output()).toContain(`Taking Mailroom from ${app}`);
  expect(output()).toContain('All of it is true');
  expect(code).toBe(0);
});

/** Of files of the unpacked package. */
async function bytesOf(names: readonly string[]): Promise<number> {
  const sizes = await Promise.all(names.map(async (name) => (await readFile(join(app, name))).length));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function outputOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      text += String(chunk);
    });
  }
  return () => text;
}
