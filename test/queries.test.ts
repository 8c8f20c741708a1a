import { readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { kustoMistakes } from './support/kusto.ts';
import { documentedEvents } from './support/log-lines.ts';

const root = new URL('..', import.meta.url);
const events = documentedEvents();
const text = await readFile(new URL('docs/queries.md', root), 'utf8');
const [preamble = '', ...queries] = [...text.matchAll(/```kusto\n([\s\S]*?)```/g)].map(([, query = '']) => query);

/** Names of events that the code writes. */
const written = new Set<string>();

beforeAll(async () => {
  for (const folder of ['shared/', 'functions/']) {
    for (const name of await readdir(new URL(folder, root), { recursive: true })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const source = await readFile(new URL(folder + name, root), 'utf8');
      for (const [, event = ''] of source.matchAll(/\blog\.(?:info|warn|error)\(\s*'([^']+)'/g)) written.add(event);
    }
  }
});

it('every event that is told of is one that the code writes', () => {
  expect(events.size).toBeGreaterThan(10);
  expect([...events.keys()].filter((event) => !written.has(event))).toEqual([]);
});

it('every event has the part of the service in its name', () => {
  expect([...written].filter((event) => !/^[a-z]+\.[a-z][a-zA-Z]*$/.test(event))).toEqual([]);
});

describe.each(queries.map((query, index) => ({ query, title: `${index + 1}: ${query.split('\n')[1]?.slice(0, 80)}` })))(
  'query $title',
  ({ query }) => {
    it("has no mistake that Microsoft's parser knows", () => {
      expect(kustoMistakes(preamble + query)).toEqual([]);
    });

    it('asks for events and fields that there are', () => {
      const asked = [...query.matchAll(/'([a-z]+\.[a-zA-Z]+)'/g)].map(([, event = '']) => event);
      expect(asked.filter((event) => !events.has(event))).toEqual([]);
      // A query about a single message is about all that can be written about one.
      const about = asked.length > 0 && !query.includes('message == id') ? asked : [...events.keys()];
      const known = new Set(about.flatMap((event) => events.get(event) ?? []));
      const fields = [...query.matchAll(/\bline\.([a-zA-Z]+)/g)].map(([, field = '']) => field);
      expect(fields.filter((field) => !known.has(field))).toEqual([]);
    });
  },
);

const alerts = (await readdir(new URL('infra/alerts/', root))).filter((name) => name.endsWith('.kql'));

it('there are four alerts', () => {
  expect(alerts).toHaveLength(4);
});

it.each(alerts)('alert %s has no mistake, and asks for events and fields that there are', async (name) => {
  const query = await readFile(new URL(`infra/alerts/${name}`, root), 'utf8');
  expect(kustoMistakes(query)).toEqual([]);
  const asked = [...query.matchAll(/"([a-z]+\.[a-zA-Z]+)"/g)].map(([, event = '']) => event);
  expect(asked.filter((event) => !events.has(event))).toEqual([]);
  const known = new Set(['event', ...asked.flatMap((event) => events.get(event) ?? [])]);
  const fields = [...query.matchAll(/\bline\.([a-zA-Z]+)/g)].map(([, field = '']) => field);
  expect(fields.filter((field) => !known.has(field))).toEqual([]);
});

it("a mistake is found by Microsoft's parser", () => {
  expect(kustoMistakes(`${preamble}lines | where evnt == 'inbox.run'`)).toEqual([
    expect.stringContaining("'evnt' does not refer to any known column"),
  ]);
});
