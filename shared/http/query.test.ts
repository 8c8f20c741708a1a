import { expect, it } from 'vitest';
import { z } from 'zod';
import { parseList, parsePage } from './paging.ts';
import { toProblem } from './problem.ts';
import { refuseParameters, unknownParameters } from './query.ts';
import { unknownRoute } from './unknown-route.ts';

const query = (text: string) => new URLSearchParams(text);

function pointersOf(work: () => unknown): readonly string[] {
  try {
    work();
    return [];
  } catch (error) {
    const { status, errors = [] } = toProblem(error);
    expect(status).toBe(400);
    return errors.map(({ pointer }) => pointer);
  }
}

it('a mistyped filter is a mistake like any other, and never widens a list', () => {
  const filters = z.object({ account: z.enum(['corpus']).optional() });
  const list = (text: string) => pointersOf(() => parseList(query(text), filters));
  expect(list('account=corpus&top=5&code=key')).toEqual([]);
  expect(list('acount=corpus')).toEqual(['/acount']);
  expect(list('account=x&Top=5&top=0')).toEqual(['/account', '/top', '/Top']);
  expect(list('__proto__=1')).toEqual(['/__proto__']);
  expect(pointersOf(() => parsePage(query('top=5&account=corpus')))).toEqual(['/account']);
});

it('a route without parameters takes none, but for the function key', () => {
  expect(pointersOf(() => refuseParameters(query('code=key')))).toEqual([]);
  expect(pointersOf(() => refuseParameters(query('a=1&b/c=2&a=3')))).toEqual(['/a', '/b~1c']);
});

it('names a hundred unknown parameters at most', () => {
  const many = query(Array.from({ length: 10_000 }, (_, n) => `p${n}=`).join('&'));
  expect(unknownParameters(many)).toHaveLength(100);
});

it('what no route takes is 404, and 405 with the methods where there are others', () => {
  const routes = [
    { method: 'GET', route: 'messages' },
    { method: 'POST', route: 'messages' },
    { method: 'GET', route: 'messages/{id}' },
    { method: 'GET', route: 'assets/{id}/attachments/{n:int}' },
    { method: 'GET', route: 'console/{*path}' },
  ];
  const answer = (path: string) => {
    const { status, headers } = unknownRoute(routes, path);
    return [status, headers.Allow];
  };
  expect(answer('messages')).toEqual([405, 'GET, POST']);
  expect(answer('Messages/')).toEqual([405, 'GET, POST']);
  expect(answer('messages/x')).toEqual([405, 'GET']);
  expect(answer('assets/a/attachments/1')).toEqual([405, 'GET']);
  expect(answer('assets/a/attachments/one')).toEqual([404, undefined]);
  expect(answer('messages/x/y')).toEqual([404, undefined]);
  expect(answer('console/accounts/corpus')).toEqual([405, 'GET']);
  expect(answer('consoles/accounts')).toEqual([404, undefined]);
  expect(answer('')).toEqual([404, undefined]);
  // `/api//messages` is no route, whatever the method.
  expect(answer('/messages')).toEqual([404, undefined]);
  expect(answer('messages//x')).toEqual([404, undefined]);
});
