import { describe, expect, it } from 'vitest';
import { authorize } from './authorize.ts';
import { checkPreconditions } from './conditional.ts';
import { listAnswer, pageOf, parsePage } from './paging.ts';
import { preferenceApplied, waitSeconds } from './prefer.ts';
import { toProblem } from './problem.ts';

function statusOf(work: () => unknown): number | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return toProblem(error).status;
  }
}

describe('waitSeconds', () => {
  it.each([
    ['wait=10', 10],
    ['WAIT = 10', 10],
    ['wait="15"', 15],
    ['wait=600', 60],
    ['wait=0', 0],
    ['respond-async, wait=5', 5],
    ['respond-async; foo="a, b;c", wait=5', 5],
    ['x="wait=1, wait=2", wait=3', 3],
    ['wait=5, wait=9', 5],
    ['wait=5; x=y', 5],
    [', wait=7', 7],
    ['wait', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=x', undefined],
    ['waiting=5', undefined],
    ['', undefined],
    ['"', undefined],
  ])('reads %j', (header, expected) => {
    expect(waitSeconds(new Headers({ prefer: header }))).toBe(expected);
  });

  it('reads several headers, and none', () => {
    const several = new Headers([
      ['Prefer', 'respond-async'],
      ['Prefer', 'wait=8'],
    ]);
    expect(waitSeconds(several)).toBe(8);
    expect(waitSeconds(new Headers())).toBeUndefined();
    expect(preferenceApplied(8)).toEqual({ 'Preference-Applied': 'wait=8' });
  });
});

describe('parsePage', () => {
  const parse = (query: string) => parsePage(new URLSearchParams(query));

  it('has a default, and takes its own token back', () => {
    expect(parse('')).toEqual({ top: 100 });
    const { continue: token } = listAnswer([], 'ü');
    expect(parse(`top=1000&continue=${token}`)).toEqual({ top: 1000, after: 'ü' });
  });

  it('names the next page where there is one', () => {
    const key = (item: string) => item;
    expect(pageOf(['a', 'b', 'c'], 2, key)).toEqual({ items: ['a', 'b'], next: 'b' });
    expect(pageOf(['a', 'b'], 2, key)).toEqual({ items: ['a', 'b'], next: undefined });
    expect(pageOf([], 2, key)).toEqual({ items: [], next: undefined });
    expect(listAnswer(['a'], undefined)).toEqual({ items: ['a'] });
  });

  it.each([
    'account=x',
    'top=0',
    'top=1001',
    'top=-1',
    'top=x',
    'top=1&top=2',
    'top=',
    'continue=%',
    'continue=',
    'continue=e30',
    `continue=${Buffer.from('{"after":1}').toString('base64url')}`,
    `continue=${Buffer.from('{"after":"a","more":1}').toString('base64url')}`,
    `continue=${Buffer.from(JSON.stringify({ after: 'a'.repeat(101) })).toString('base64url')}`,
    `continue=${'a'.repeat(5000)}`,
  ])('refuses %s', (query) => {
    expect(statusOf(() => parse(query))).toBe(400);
  });
});

describe('authorize', () => {
  const principal = (claims: unknown) =>
    new Headers({ 'X-MS-CLIENT-PRINCIPAL': Buffer.from(JSON.stringify({ claims })).toString('base64') });
  const long = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';

  it('lets the function key decide where no sign-in is in front', () => {
    expect(statusOf(() => authorize(new Headers(), 'Mailroom.Admin', { signIn: false }))).toBeUndefined();
  });

  it.each([
    ['its role', [{ typ: 'roles', val: 'Mailroom.Send' }], undefined],
    ['its role under the long name', [{ typ: long, val: 'Mailroom.Send' }], undefined],
    ['an administrator', [{ typ: 'roles', val: 'Mailroom.Admin' }], undefined],
    ['another role', [{ typ: 'roles', val: 'Mailroom.Read' }], 403],
    ['the role in another claim', [{ typ: 'name', val: 'Mailroom.Send' }], 403],
    ['no claims', [], 403],
    ['something else', 'x', 401],
  ])('decides on %s', (_, claims, expected) => {
    expect(statusOf(() => authorize(principal(claims), 'Mailroom.Send', { signIn: true }))).toBe(expected);
  });

  it.each(['', '!', 'e30', Buffer.from('null').toString('base64'), 'x'.repeat(70_000)])(
    'knows nobody by %.20s',
    (header) => {
      const headers = { get: (name: string) => (name === 'x-ms-client-principal' ? header : null) };
      expect(statusOf(() => authorize(headers, 'Mailroom.Read', { signIn: true }))).toBe(401);
      expect(statusOf(() => authorize(new Headers(), 'Mailroom.Read', { signIn: true }))).toBe(401);
    },
  );
});

describe('checkPreconditions', () => {
  it.each([
    [{}, '"1"', undefined],
    [{ 'if-match': '"1"' }, '"1"', undefined],
    [{ 'if-match': 'W/"1"' }, '"1"', undefined],
    [{ 'if-match': '"0", "1"' }, 'W/"1"', undefined],
    [{ 'if-match': '"2"' }, '"1"', 412],
    [{ 'if-match': '*' }, '"1"', undefined],
    [{ 'if-match': '*' }, undefined, 412],
    [{ 'if-match': '"1"' }, undefined, 412],
    [{ 'if-match': '1' }, '"1"', 400],
    [{ 'if-match': '' }, '"1"', 400],
    [{ 'if-none-match': '*' }, '"1"', 412],
    [{ 'if-none-match': '*' }, undefined, undefined],
    [{ 'if-none-match': '"1"' }, '"1"', 412],
    [{ 'if-none-match': '"2"' }, '"1"', undefined],
  ])('holds %j against %s', (headers, current, expected) => {
    expect(statusOf(() => checkPreconditions(new Headers(Object.entries(headers)), current))).toBe(expected);
  });
});

/** Each would hold the process for minutes or for ever, were a part of it looked at more than once. */
const parts = [' ', ' ,', '"a",', ', ', '"', 'a;', ';"', 'a=",', 'a;b="c"', '\\"', '"a", , '];

describe('headers of a megabyte', () => {
  it.each(parts)('%j again and again are read in one pass, or not at all', (part) => {
    for (const length of [8_000, 1_000_000]) {
      for (const [begin, end] of [
        ['', 'x!'],
        ['"a"', '!'],
        ['x="', ''],
        ['a', 'x!'],
      ]) {
        const header = begin + part.repeat(length / part.length) + end;
        waitSeconds({ get: () => header });
        statusOf(() => checkPreconditions({ get: (name) => (name === 'if-match' ? header : null) }, '"1"'));
        statusOf(() => checkPreconditions({ get: (name) => (name === 'if-none-match' ? header : null) }, '"1"'));
      }
    }
  });
});
