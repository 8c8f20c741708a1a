import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readBicep } from '../infra/check/read/bicep-reader.ts';
import { deploy } from '../infra/check/read/deployment.ts';
import { at } from '../infra/check/rules/subject.ts';
import { workbookQueries } from '../infra/check/rules/workbook.ts';
import { kustoMistakes } from './support/kusto.ts';
import { logCalls } from './support/log-calls.ts';
import { documentedEvents } from './support/log-lines.ts';

const root = new URL('..', import.meta.url);
const events = documentedEvents();
const documented = [...events.main.keys(), ...events.rarer.keys()];
const text = await readFile(new URL('docs/queries.md', root), 'utf8');
const [preamble = '', ...queries] = [...text.matchAll(/```kusto\n([\s\S]*?)```/g)].map(([, query = '']) => query);
const calls = await logCalls(root, ['shared/', 'functions/']);

describe('events', () => {
  it('are written out wherever something is logged, with the part of the service in the name', () => {
    expect(calls.length).toBeGreaterThan(60);
    expect(calls.filter(({ event }) => !/^[a-z]+\.[a-z][a-zA-Z]*$/.test(event ?? ''))).toEqual([]);
  });

  it('that the code writes are all listed, and no other', () => {
    const written = new Set(calls.map(({ event }) => event));
    expect([...written].filter((event) => !documented.includes(event ?? ''))).toEqual([]);
    expect(documented.filter((event) => !written.has(event))).toEqual([]);
    expect(documented).toHaveLength(written.size);
  });

  it('have no field that is not listed', () => {
    const unknown = calls.flatMap(({ event = '', fields, place }) =>
      fields.filter((field) => !events.fields(event)?.includes(field)).map((field) => `${field} in ${place}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** Events and fields in a query that no line has. */
function unknownNames(query: string): string[] {
  const asked = [...query.matchAll(/['"]([a-z]+\.[a-zA-Z]+)['"]/g)].map(([, event = '']) => event);
  // The id of a message that the query is about looks like an event.
  const named = asked.filter((name) => !query.includes(`let id = '${name}`));
  // A query about a single message is about all that can be written about one.
  const about = named.length > 0 && !query.includes('message == id') ? named : documented;
  const known = new Set(['event', ...about.flatMap((event) => events.fields(event) ?? [])]);
  const fields = [...query.matchAll(/\bline\.([a-zA-Z]+)/g)].map(([, field = '']) => field);
  return [...named.filter((event) => !documented.includes(event)), ...fields.filter((field) => !known.has(field))];
}

it('there are queries for each of the five questions, and for each that asks of lines, the first lines', () => {
  expect(text.match(/^## \d\. /gm)).toHaveLength(5);
  expect(queries.length).toBeGreaterThanOrEqual(12);
  for (const section of text.split(/^## \d\. /m).slice(1)) expect(section).toContain('```kusto');
  expect(preamble).toMatch(/^let lines = /);
});

describe.each(queries.map((query, index) => ({ query, title: `${index + 1}: ${query.split('\n')[1]?.slice(0, 80)}` })))(
  'query $title',
  ({ query }) => {
    it("has no mistake that Microsoft's parser knows", () => {
      expect(kustoMistakes(preamble + query)).toEqual([]);
    });

    it('asks for events and fields that there are', () => {
      expect(unknownNames(query)).toEqual([]);
    });
  },
);

const alerts = (await readdir(new URL('infra/alerts/', root))).filter((name) => name.endsWith('.kql'));

it('there are seven alerts', () => {
  expect(alerts).toHaveLength(7);
});

it.each(alerts)('alert %s has no mistake, and asks for events and fields that there are', async (name) => {
  const query = await readFile(new URL(`infra/alerts/${name}`, root), 'utf8');
  expect(kustoMistakes(query)).toEqual([]);
  expect(unknownNames(query)).toEqual([]);
});

describe('the workbook', async () => {
  const folder = new URL('infra/workbook/', root);
  const names = (await readdir(folder)).filter((name) => name !== 'lines.kql');
  const program = await readBicep(fileURLToPath(new URL('infra/main.bicep', root)));
  const { resources } = deploy(program, { environmentName: 'test', location: 'westeurope' });
  const workbook = resources.find(({ type }) => type === 'Microsoft.Insights/workbooks');
  const asked = workbookQueries(String(workbook && at(workbook, 'properties.serializedData')));

  it('has the first lines of this page, and asks for nothing that is not on it', async () => {
    expect(await readFile(new URL('lines.kql', folder), 'utf8')).toBe(preamble);
    expect(names).toHaveLength(12);
    for (const name of names) expect(queries, name).toContain(await readFile(new URL(name, folder), 'utf8'));
  });

  it.each(names)('asks %s', async (name) => {
    const query = await readFile(new URL(name, folder), 'utf8');
    expect(asked.filter((each) => each.endsWith(query))).toHaveLength(1);
  });

  it.each(asked)('has no mistake, whichever accounts are chosen: %s', (query) => {
    for (const chosen of ["'*'", "'corpus','other'"]) {
      expect(kustoMistakes(query.replaceAll('{Account}', chosen))).toEqual([]);
    }
  });
});

it("a mistake is found by Microsoft's parser", () => {
  expect(kustoMistakes(`${preamble}lines | where evnt == 'inbox.run'`)).toEqual([
    expect.stringContaining("'evnt' does not refer to any known column"),
  ]);
});

it('an event and a field that no line has are found', () => {
  expect(unknownNames("lines | where event == 'inbox.ran' | project line.imported")).toEqual(['inbox.ran', 'imported']);
  expect(unknownNames("lines | where event == 'inbox.run' | project line.imported, line.emported")).toEqual([
    'emported',
  ]);
});
