import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Mailroom } from './mailroom.ts';

/** A route of the app: `GET /accounts/{account}`, without the `api` prefix. */
export interface AppRoute {
  /** As docs/http.md writes it, without constraints: `GET /assets/{id}/attachments/{n}`. */
  readonly name: string;
  readonly method: string;
  /** The same with something in each place, under `/api`. */
  readonly path: string;
  readonly authLevel: string;
}

const listSchema = z.array(
  z.looseObject({
    name: z.string(),
    /** Missing of a function in error. */
    config: z
      .looseObject({
        bindings: z.array(
          z.looseObject({
            type: z.string(),
            route: z.string().optional(),
            methods: z.array(z.string()).optional(),
            authLevel: z.string().optional(),
          }),
        ),
      })
      .optional(),
  }),
);

const examples: Readonly<Record<string, string>> = {
  account: 'corpus',
  id: 'corpus.0000000000000000000000',
  runId: '0000000000000000000000',
  name: 'corpus-x',
  n: '1',
  path: 'accounts',
};

/** Every route that the running app registered, by the host's own list; not the function that answers what no route takes. */
export async function registeredRoutes(mailroom: Mailroom): Promise<readonly AppRoute[]> {
  const list = listSchema.parse((await mailroom.call('GET', '/admin/functions')).json);
  const routes = list.flatMap(({ config }) =>
    (config?.bindings ?? []).flatMap(({ type, route = '', methods = [], authLevel = '' }) =>
      type === 'httpTrigger' && route !== '{*path}' ? methods.map((method) => appRoute(method, route, authLevel)) : [],
    ),
  );
  expect(routes.length).toBeGreaterThan(20);
  return routes;
}

/** Routes that ask neither settings nor roles. */
export const asksNothing = (name: string): boolean => /^GET \/(?:health|openapi\.json|docs|console)/.test(name);

function appRoute(method: string, template: string, authLevel: string): AppRoute {
  const route = template.replace(/:int\}/g, '}').replace('{*', '{');
  const path = route.replace(/\{(\w+)\}/g, (_, name: string) => {
    const example = examples[name];
    if (example === undefined) throw new Error(`no example for {${name}}`);
    return example;
  });
  return { name: `${method} /${route}`, method, path: `/api/${path}`, authLevel };
}

/** The routes in the tables of docs/http.md, with what a caller needs: a role, or `nothing`. */
export async function documentedRoutes(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(new URL('../../docs/http.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z]+ \/[^`?]*)(?:\?[^`]*)?` +\| +(\S[^|]*?) +\|/gm)];
  return new Map(rows.map(([, name = '', needs = '']) => [name, needs]));
}
