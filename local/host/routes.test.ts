import { describe, expect, test } from 'vitest';
import { compareOrdinalIgnoreCase } from './ordinal-order.ts';
import { compileTemplate } from './route-template.ts';

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
    ['a/{p}/b', 'a/x/B', { p: 'x' }],
    ['a/{*rest}', 'a', {}],
    ['a/{*rest}', 'a/b/c', { rest: 'b/c' }],
    ['{p:int}', '12', { p: '12' }],
    ['{p:int}', '-2147483648', { p: '-2147483648' }],
    ['{p:int}', '2147483648', undefined],
    ['{p:int}', '1.5', undefined],
    ['{p:int}', 'x', undefined],
  ])('%s against "%s"', (template, path, expected) => {
    expect(match(template, path)).toEqual(expected);
  });

  test.each(['{', 'a}', '{p', '{*rest}/b', '{a}{b}', 'a{b}', '{p}/{P}', 'a//b', '{p:nosuch}', '{p?}', '{p=1}', '{}'])(
    'refuses %s',
    (template) => {
      expect(() => compileTemplate(template)).toThrow(/^route /);
    },
  );
});

test('names are ordered by upper-cased code units', () => {
  expect(['b', 'A_', 'Ab', 'a1', 'C'].sort(compareOrdinalIgnoreCase)).toEqual(['a1', 'Ab', 'A_', 'b', 'C']);
});
