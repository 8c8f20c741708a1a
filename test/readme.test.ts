import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../local/ports.ts';

/** The README's commands, as they stand, in the order in which they stand, with the answers that it shows. */

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(join(root, 'README.md'), 'utf8');

interface Example {
  readonly section: string;
  readonly commands: string;
  /** What the README shows as the answer, and in which form. */
  readonly answer?: { readonly kind: 'json' | 'text'; readonly text: string };
}

/** Code blocks, each with the answer that stands right behind it. */
function examples(markdown: string): readonly Example[] {
  const found: Example[] = [];
  for (const part of markdown.split(/^## /m).slice(1)) {
    const section = part.slice(0, part.indexOf('\n'));
    for (const [, commands = '', kind, text = ''] of part.matchAll(
      /^```sh\n([\s\S]*?)^```(?:\n\n```(json|text)\n([\s\S]*?)^```)?/gm,
    )) {
      found.push({ section, commands, ...(kind === 'json' || kind === 'text' ? { answer: { kind, text } } : {}) });
    }
  }
  return found;
}

const all = examples(readme);
const onTheLaptop = all.filter(({ section }) => ['Connect a mailbox', 'Send', 'Import'].includes(section));

/** `…` stands for anything; what the README leaves out of an answer may be there. */
function holds(shown: unknown, actual: unknown): boolean {
  if (typeof shown === 'string' && typeof actual === 'string') {
    const [first = '', ...rest] = shown.split('…');
    if (rest.length === 0) return shown === actual;
    return actual.startsWith(first) && actual.endsWith(rest.at(-1) ?? '');
  }
  if (Array.isArray(shown)) {
    return Array.isArray(actual) && shown.every((each) => actual.some((other) => holds(each, other)));
  }
  if (typeof shown === 'object' && shown !== null) {
    return (
      typeof actual === 'object' &&
      actual !== null &&
      Object.entries(shown).every(([name, value]) => holds(value, new Map(Object.entries(actual)).get(name)))
    );
  }
  return shown === actual;
}

let service: ChildProcess;
let shell: ChildProcess;
let directory: string;
let said = '';

/** Runs commands in the one shell in which all of them run, so that variables live on. */
async function inShell(commands: string): Promise<string> {
  const mark = `done-${randomUUID()}`;
  let output = '';
  const read = (chunk: Buffer) => {
    output += chunk.toString();
  };
  shell.stdout?.on('data', read);
  shell.stderr?.on('data', read);
  shell.stdin?.write(`{ ${commands.trim()}\n}; code=$?; echo; echo "${mark}" $code\n`);
  await vi.waitUntil(() => new RegExp(`${mark} \\d`).test(output), { timeout: 60_000, interval: 20 });
  shell.stdout?.off('data', read);
  shell.stderr?.off('data', read);
  const end = output.lastIndexOf(`\n${mark} `);
  expect(output.slice(end)).toContain(`${mark} 0`);
  return output.slice(0, end);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'readme-'));
  const port = await freePort();
  service = spawn(process.execPath, [join(root, 'local/start.ts')], {
    env: {
      ...process.env,
      PORT: String(port),
      LOCAL_DATA_DIR: join(directory, 'data'),
      // At a full five minutes the timer would import the mail before the dry run shows it.
      IMPORT_SCHEDULE: '0 0 0 1 1 *',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [service.stdout, service.stderr]) {
    stream?.on('data', (chunk) => {
      said += String(chunk);
    });
  }
  await vi.waitUntil(() => said.includes('curl -sS "$URL/accounts"'), { timeout: 90_000 });
  shell = spawn('bash', [], { cwd: directory, stdio: ['pipe', 'pipe', 'pipe'] });
  // As the README says: the lines that `npm start` ends with are copied.
  await inShell([...said.matchAll(/^ {2}(export .*|curl .*)$/gm)].map(([, line]) => line).join('\n'));
}, 120_000);

afterAll(async () => {
  for (const child of [shell, service]) {
    if (child && child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  }
  await rm(directory, { recursive: true, force: true });
});

it('has at most 200 lines', () => {
  expect(readme.split('\n').length).toBeLessThanOrEqual(200);
});

it('shows commands for each thing that it promises', () => {
  expect(new Set(all.map(({ section }) => section))).toEqual(
    new Set(['Run it', 'Connect a mailbox', 'Send', 'Import', 'Deploy']),
  );
  expect(onTheLaptop.length).toBeGreaterThan(8);
});

it('what it says to run first is what CI runs', async () => {
  const ci = await readFile(join(root, '.ci/run'), 'utf8');
  const commands = [...(all.find(({ section }) => section === 'Run it')?.commands ?? '').matchAll(/^npm [a-z ]+/gm)]
    .map(([command]) => command.trim())
    .filter((command) => command !== 'npm start');
  expect(commands).toEqual(['npm ci', 'npm run demo', 'npm test']);
  for (const command of commands) expect(ci.split('\n')).toContain(command);
});

describe('each command answers what is shown', () => {
  it.each(onTheLaptop.map((each) => ({ ...each, title: each.commands.replace(/\s+/g, ' ').slice(0, 60) })))(
    '$section: $title',
    { timeout: 180_000 },
    async ({ commands, answer }) => {
      const output = await inShell(commands);
      if (answer === undefined) return;
      if (answer.kind === 'text') {
        expect(output.trim()).toBe(answer.text.trim());
        return;
      }
      const actual: unknown = JSON.parse(output);
      expect(holds(JSON.parse(answer.text), actual), `${answer.text}\n${output}`).toBe(true);
    },
  );
});
