import { expect, it } from 'vitest';
import { literalsOf, trouble } from './regular-expressions.ts';

it.each([
  // Seen in the product: a blank may belong to any of three parts, and a list may end anywhere.
  ['polynomial', /\s*([a-z]+)\s*(?:=\s*("[^"]*"|[^\s,;"]*))?\s*(?:,|$)/],
  ['exponential', /^(?:\s*,)*\s*"(a*)"(?:\s*,\s*(?:"(a*)")?)*\s*$/],
  ['polynomial', /[. ]+$/],
  [undefined, /(?<![. ])[. ]+$/],
  [undefined, /^[a-z0-9][a-z0-9-]{0,31}$/],
])('finds %s', (what, { source, flags }) => {
  expect(trouble({ source, flags })).toBe(what);
});

it('finds every literal, and what is made at run time', () => {
  const code = 'const a: RegExp = /x+y/g; const b = 4 / 2 / 1; if (a) /z/u.test(f(/w/));';
  const { expressions, makesMore } = literalsOf(code, 'file.ts');
  expect(expressions.map(({ source, flags }) => `/${source}/${flags}`).sort()).toEqual(['/w/', '/x+y/g', '/z/u']);
  expect(makesMore).toBe(false);
  expect(literalsOf("new RegExp('a' + b)", 'file.ts').makesMore).toBe(true);
});
