import { describe, expect, test } from 'vitest';
import { compileTemplate } from './route-template.ts';
import { compareOrdinalIgnoreCase } from './routes.ts';

function match(template: string, path: string) {
  const values = compileTemplate(template).match(path === '' ? [] : path.split('/'));
  return values && { ...values };
}

describe('templates', () => {
  test.each([
    ['a/b', 'A/B', {}],
    ['a/b', 'a', undefined],
    ['a/b', 'a/b/c', undefined],
    ['', '', {}],
    ['{p}', 'x', { p: 'x' }],
    ['{p}', '', undefined],
    ['a/{p?}', 'a', {}],
    ['a/{p?}', 'a/x', { p: 'x' }],
    ['a/{p=d}', 'a', { p: 'd' }],
    ['a/{*rest}', 'a', {}],
    ['a/{*rest}', 'a/b/c', { rest: 'b/c' }],
    ['a/{**rest}', 'a/b', { rest: 'b' }],
    ['v{major}.{minor}', 'v1.2.3', { major: '1.2', minor: '3' }],
    ['{file}.{ext?}', 'a.b', { file: 'a', ext: 'b' }],
    ['{file}.{ext?}', 'a', { file: 'a' }],
    ['{a}-x-{b}', '1-x-2', { a: '1', b: '2' }],
    ['a{{b}}', 'a{b}', {}],
    ['{p:int}', '12', { p: '12' }],
    ['{p:int}', '2147483648', undefined],
    ['{p:long}', '2147483648', { p: '2147483648' }],
    ['{p:bool}', 'TRUE', { p: 'TRUE' }],
    ['{p:guid}', 'cd2c1638-1638-72d5-1638-deadbeef1638', { p: 'cd2c1638-1638-72d5-1638-deadbeef1638' }],
    ['{p:guid}', 'cd2c1638', undefined],
    ['{p:alpha:minlength(2)}', 'ab', { p: 'ab' }],
    ['{p:alpha:minlength(2)}', 'a', undefined],
    ['{p:alpha}', 'a1', undefined],
    ['{p:maxlength(2)}', 'abc', undefined],
    ['{p:length(2)}', 'ab', { p: 'ab' }],
    ['{p:length(2,3)}', 'abcd', undefined],
    ['{p:min(5)}', '4', undefined],
    ['{p:max(5)}', '5', { p: '5' }],
    ['{p:range(1,9)}', '10', undefined],
    ['{p:double}', '1.5e3', { p: '1.5e3' }],
    ['{p:decimal}', 'x', undefined],
    ['{p:datetime}', '2026-11-22', { p: '2026-11-22' }],
    ['{p:regex(^\\d{{2}}:[a-z]+$)}', '12:aB', { p: '12:aB' }],
    ['{p:regex(^\\d{{2}}$)}', '123', undefined],
    ['{p:int?}', '', {}],
    ['{p:int=7}', '', { p: '7' }],
  ])('%s against "%s"', (template, path, expected) => {
    expect(match(template, path)).toEqual(expected);
  });

  test.each(['{', 'a}', '{p', '{*rest}/b', '{a}{b}', '{p}/{P}', 'a//b', '{p:nosuch}', '{p:min(x)}', '{}', '{{p}'])(
    'refuses %s',
    (template) => {
      expect(() => compileTemplate(template)).toThrow();
    },
  );
});

test('names are ordered by upper-cased code units', () => {
  expect(['b', 'A_', 'Ab', 'a1', 'C'].sort(compareOrdinalIgnoreCase)).toEqual(['a1', 'Ab', 'A_', 'b', 'C']);
});
