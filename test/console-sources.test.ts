import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { accountInputSchema } from '../shared/accounts/model.ts';

/** What holds of the sources of the console, without a browser. */

const root = fileURLToPath(new URL('..', import.meta.url));

/** A part of a JSON schema, as far as it says which fields there are. */
interface Described {
  readonly properties?: Readonly<Record<string, Described>>;
  readonly anyOf?: readonly Described[];
  readonly oneOf?: readonly Described[];
  /** Parts that have a name. */
  readonly $defs?: Readonly<Record<string, Described>>;
}

/** The names of all fields within: of an object all of its own, and theirs. */
function fieldNames({ properties = {}, anyOf = [], oneOf = [], $defs = {} }: Described): readonly string[] {
  const own = Object.entries(properties).flatMap(([name, inside]) => [name, ...fieldNames(inside)]);
  return [...own, ...[...anyOf, ...oneOf, ...Object.values($defs)].flatMap(fieldNames)];
}

it('every field of an account can be set in the console', async () => {
  const described: Described = JSON.parse(JSON.stringify(z.toJSONSchema(accountInputSchema, { io: 'input' })));
  const names = new Set(fieldNames(described));
  expect([...names]).toEqual(expect.arrayContaining(['heloName', 'maxMessageSize', 'cloud', 'clientId', 'notify']));
  const files = globSync('console/screens/**/*.{ts,tsx}', { cwd: root });
  const sources = (await Promise.all(files.map((file) => readFile(`${root}/${file}`, 'utf8')))).join('\n');
  // A field of a form has the JSON pointer of what it sets: from the account, or from a part of it, on.
  const pointer = /(['"`])((?:\/|(?=\$\{(?!base)))(?:[\w-]+|\$\{\w+\})(?:\/(?:[\w-]+|\$\{\w+\}))*)\1/g;
  const steps = new Set([...sources.matchAll(pointer)].flatMap(([, , found = '']) => found.split('/')));
  // Folders are ticked on a screen of their own. A button of the account's screen disables it, and enables it again.
  expect([...names].filter((name) => !steps.has(name))).toEqual(['enabled', 'folders']);
});

it('the dark theme changes colours alone, so that what holds of structure in the light one holds in it', async () => {
  const files = globSync('console/**/*.{css,ts,tsx,html}', { cwd: root });
  const sources = (await Promise.all(files.map((file) => readFile(`${root}/${file}`, 'utf8')))).join('\n');
  const [, dark = ''] = /@media \(prefers-color-scheme: dark\) \{\s*:root \{([^}]*)\}\s*\}/.exec(sources) ?? [];
  expect(dark.match(/--[\w-]+: #\w+;/g)?.length).toBeGreaterThan(20);
  expect(dark.replace(/--[\w-]+: #\w+;/g, '').trim()).toBe('');
  // The charts are painted anew; they are a canvas, which axe-core does not look into.
  expect(sources.match(/prefers-color-scheme/g)).toHaveLength(1 + (sources.match(/matchMedia\(.*dark/g)?.length ?? 0));
});
