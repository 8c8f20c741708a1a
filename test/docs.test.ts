import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { accountInputSchema, importSchema, limitsSchema } from '../shared/accounts/model.ts';
import { resolveAccount } from '../shared/accounts/rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = globSync('**/*.md', { cwd: root, exclude: ['node_modules', 'dist', '.local'] });

/** Text without what is code: there a link is an example. */
function prose(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```/gm, '').replace(/`[^`\n]*`/g, '');
}

/** Anchors as GitHub makes them of headings: small letters, no punctuation, dashes for spaces, -1, -2 for repeats. */
function anchors(markdown: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const names = new Set<string>();
  for (const [, heading = ''] of markdown.replace(/^ *```[\s\S]*?^ *```/gm, '').matchAll(/^#{1,6} +(.+)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replace(/ /g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    names.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return names;
}

interface Link {
  readonly file: string;
  readonly target: string;
}

async function links(file: string): Promise<readonly Link[]> {
  const text = prose(await readFile(join(root, file), 'utf8'));
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => ({ file, target }));
}

const isOutside = (target: string): boolean => /^[a-z]+:/i.test(target);

/** Why a link leads nowhere; undefined: it leads somewhere. */
async function mistake({ file, target }: Link): Promise<string | undefined> {
  const [path = '', anchor] = target.split('#');
  const place = path === '' ? file : relative(root, join(root, dirname(file), decodeURIComponent(path)));
  const text = await readFile(join(root, place), 'utf8').catch(() => undefined);
  if (text === undefined) return `${file}: ${target} is not there`;
  return anchor === undefined || anchors(text).has(anchor) ? undefined : `${file}: ${target} has no such heading`;
}

it('finds the documents, and links in them', async () => {
  expect(files).toEqual(expect.arrayContaining(['README.md', 'docs/operations.md', 'docs/app-registration.md']));
  expect((await Promise.all(files.map(links))).flat().length).toBeGreaterThan(100);
});

it('every link within the repository leads to a file, and to a heading of it', async () => {
  const inside = (await Promise.all(files.map(links))).flat().filter(({ target }) => !isOutside(target));
  expect(inside.length).toBeGreaterThan(20);
  expect((await Promise.all(inside.map(mistake))).filter((each) => each !== undefined)).toEqual([]);
});

it('knows a link that leads nowhere', async () => {
  const file = 'docs/operations.md';
  expect(await mistake({ file, target: 'nothing.md' })).toMatch(/not there/);
  expect(await mistake({ file, target: '../README.md#no-such-heading' })).toMatch(/no such heading/);
});

it('every file of tests that test/README.md names is there', async () => {
  const named = [...(await readFile(join(root, 'test/README.md'), 'utf8')).matchAll(/`([\w./-]+\.ts)`/g)];
  const there = globSync('{test,shared,local,functions,infra,bench}/**/*.ts', { cwd: root }).map((file) => `/${file}`);
  const missing = named.flatMap(([, name = '']) => {
    const end = `/${name.replace(/^\.\.\//, '')}`;
    return there.some((file) => file.endsWith(end)) ? [] : [name];
  });
  expect(named.length).toBeGreaterThan(100);
  expect(missing).toEqual([]);
});

it('pages of Microsoft are named without a language, so that each reader gets their own', async () => {
  const outside = (await Promise.all(files.map(links))).flat().filter(({ target }) => isOutside(target));
  expect(outside.filter(({ target }) => !/^https:\/\//.test(target))).toEqual([]);
  expect(outside.filter(({ target }) => /microsoft\.com\/[a-z]{2}-[a-z]{2}\//i.test(target))).toEqual([]);
});

it('every block of commands for Azure or Exchange says that it was not run, and cites a page', async () => {
  const guides = ['docs/app-registration.md', 'docs/operations.md'];
  for (const file of guides) {
    const text = await readFile(join(root, file), 'utf8');
    const blocks = [...text.matchAll(/^ *```(?:sh|powershell)\n([\s\S]*?)^ *```\n([\s\S]*?)(?=^ *```|^#)/gm)];
    expect(blocks.length).toBeGreaterThan(5);
    for (const [, commands = '', after = ''] of blocks) {
      if (!/^ *(az|azd|Connect-|Install-|infra\/scripts)|\$\(azd? /m.test(commands)) continue;
      expect(after, `${file}: ${commands}`).toMatch(/\*\*Not run\.?\*\*/);
      expect(after, `${file}: ${commands}`).toMatch(/learn\.microsoft\.com|guide/);
    }
  }
});

it.each([
  ['README.md', 4],
  ['docs/deploy.md', 6],
])('%s says that what it says of Azure was not run, and cites a page for each command', async (file, atLeast) => {
  const text = await readFile(join(root, file), 'utf8');
  const section = file === 'README.md' ? (/\n## Deploy\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '') : text;
  expect(section).toContain('none of the commands of this section could be run here');
  const commands = [...section.matchAll(/^(?:az|azd) [a-z -]+|`(az [a-z ]+)/gm)].map(
    ([line, inline]) => inline ?? line,
  );
  expect(commands.length).toBeGreaterThanOrEqual(atLeast);
  const cited = [...section.matchAll(/\[([^\]]+)\]\(https:\/\/learn\.microsoft\.com\//g)].map(([, page = '']) => page);
  for (const command of commands) {
    const [tool = '', word = ''] = command.split(' ');
    const pages = cited.filter((page) => page.startsWith(`${tool} `) && page.includes(word));
    expect(pages, command).not.toEqual([]);
  }
});

it('the accounts in the guides are accounts, without a warning', async () => {
  const text = await readFile(join(root, 'docs/app-registration.md'), 'utf8');
  const bodies = [...text.matchAll(/-d '(\{\s+"from"[\s\S]*?\})'/g)].map(([, body = '']) => body);
  expect(bodies).toHaveLength(2);
  for (const body of bodies) {
    const given = body.replaceAll(/"(tenantId|clientId)": "\.\.\."/g, '"$1": "11111111-1111-4111-8111-111111111111"');
    expect(resolveAccount('corpus', JSON.parse(given)).warnings).toEqual([]);
  }
});

it('the account with all fields is one, without a warning, and has each field', async () => {
  const text = await readFile(join(root, 'docs/accounts.md'), 'utf8');
  const [, block = ''] = /^## All fields\n+```jsonc\n([\s\S]*?)```/m.exec(text) ?? [];
  const given: Record<string, Record<string, unknown>> = JSON.parse(block.replace(/(^|\s)\/\/.*$/gm, ''));
  expect(resolveAccount('corpus', given).warnings).toEqual([]);
  const { name: _, ...fields } = accountInputSchema.shape;
  expect(Object.keys(given).sort()).toEqual(Object.keys(fields).sort());
  expect(Object.keys(given.import ?? {}).sort()).toEqual(Object.keys(importSchema.shape).sort());
  expect(Object.keys(given.limits ?? {}).sort()).toEqual(Object.keys(limitsSchema.shape).sort());
});

it('every timer of the app, and none else, stands where the documents list them', async () => {
  const sources = globSync('functions/*.ts', { cwd: root }).map((file) => readFile(join(root, file), 'utf8'));
  const timers = (await Promise.all(sources)).flatMap((text) =>
    [...text.matchAll(/^timer\(\s*'([^']+)'/gm)].map(([, name = '']) => name),
  );
  expect(timers.length).toBeGreaterThan(3);
  for (const [file, line] of [
    ['docs/settings.md', /fires a timer by hand: (.*)/],
    ['docs/operations.md', /^\| (.*) \| timers \|/m],
  ] as const) {
    const [, listed = ''] = line.exec(await readFile(join(root, file), 'utf8')) ?? [];
    const names = [...listed.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
    expect(names.sort(), file).toEqual([...timers].sort());
  }
});

it('the guide for operators has a chapter for each alert, and none else', async () => {
  const alerts = globSync('infra/alerts/*.kql', { cwd: root }).map((file) => basename(file, '.kql'));
  const guide = await readFile(join(root, 'docs/operations.md'), 'utf8');
  const chapters = [...guide.matchAll(/^### .*\(`([^`]+)`\)$/gm)].map(([, name]) => name);
  expect(chapters.sort()).toEqual(alerts.sort());
});
