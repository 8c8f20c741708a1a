import { expect, it } from 'vitest';
import { isWithinLimits } from './json-shape.ts';

const limits = { depth: 3, values: 10 };
const within = (text: string) => isWithinLimits(Buffer.from(text), limits);

it.each([
  ['{"value":[{"id":"a"}]}', true],
  ['[[[]]]', true],
  ['[[[[]]]]', false],
  ['{"a":{"b":{"c":{}}}}', false],
  ['["[[[[[","\\"[[[[[", "\\\\"]', true],
  ['[1,2,3,4,5,6,7,8]', true],
  ['[1,2,3,4,5,6,7,8,9,10]', false],
  ['["1,2,3,4,5,6,7,8,9,10"]', true],
  ['', true],
])('%s: %s', (text, expected) => {
  expect(within(text)).toBe(expected);
});
