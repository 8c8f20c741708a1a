import { describe, expect, it } from 'vitest';
import { metadataSchema } from './metadata.ts';

const mistakesOf = (value: unknown) =>
  metadataSchema.safeParse(value).error?.issues.map(({ message }) => message) ?? [];
const strings = (count: number, value = 'x') =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`name-${n}`, value]));

describe('the strings of a caller', () => {
  it.each([
    ['none', {}],
    ['twenty', strings(20)],
    ['one of 500 characters', { a: 'x'.repeat(500) }],
    ['an empty one', { a: '' }],
    ['names of letters, digits, dots, hyphens and underscores', { 'Order.id_7-b': 'x', '7': 'x' }],
    ['a name of 64 characters', { ['n'.repeat(64)]: 'x' }],
    ['any letters', { a: 'Žluťoučký кот 猫 🐈' }],
  ])('are good: %s', (_, value) => {
    expect(metadataSchema.parse(value)).toEqual(value);
  });

  it.each([
    ['twenty-one', strings(21), 'must be at most 20 strings'],
    ['one of 501 characters', { a: 'x'.repeat(501) }, 'must be at most 500 characters'],
    ['a line break', { a: 'x\ny' }, 'must not contain line breaks or control characters'],
    ['a control character', { a: 'x\u0000' }, 'must not contain line breaks or control characters'],
    ['half a character', { a: '\ud800' }, 'must not contain line breaks or control characters'],
  ])('are refused: %s', (_, value, message) => {
    expect(mistakesOf(value)).toEqual([message]);
  });

  it.each(['', '-a', '.a', 'a b', 'ä', 'n'.repeat(65)])('are refused with the name %j', (name) => {
    expect(mistakesOf({ [name]: 'x' })).toHaveLength(1);
  });

  it('are counted beside the mistakes in single ones', () => {
    expect(mistakesOf({ ...strings(21), 'name-0': 'x'.repeat(501) }).toSorted()).toEqual([
      'must be at most 20 strings',
      'must be at most 500 characters',
    ]);
  });

  it.each([[null], ['x'], [7], [[]]])('are no %j', (value) => {
    expect(mistakesOf(value)).toHaveLength(1);
  });
});
