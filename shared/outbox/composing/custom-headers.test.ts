import { describe, expect, it } from 'vitest';
import { parseInput } from '../../platform/validation.ts';
import { headersSchema } from './custom-headers.ts';

const parse = (headers: object) => parseInput(headersSchema, headers);
const many = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`);

describe("headers of the caller's own", () => {
  it('have values without the blanks around them', () => {
    expect(parse({ 'X-A': ' a b ' })).toEqual([{ name: 'X-A', value: 'a b' }]);
  });

  it.each([
    ['a name of 76 characters', { ['x'.repeat(76)]: 'v' }],
    ['a value of 2000 characters', { 'X-A': 'x '.repeat(999).concat('xx') }],
    ['words of 900 characters', { 'X-A': `${'x'.repeat(900)} ${'y'.repeat(900)}` }],
    // It is encoded, and so it can be folded.
    ['a longer word with an umlaut', { 'X-A': `${'x'.repeat(950)}ü` }],
  ])('may have %s', (_, headers) => {
    expect(parse(headers)).toEqual(Object.entries(headers).map(([name, value]) => ({ name, value })));
  });

  it('may be 50', () => {
    expect(parse({ 'X-A': many(30), 'X-B': many(20) })).toHaveLength(50);
  });

  it.each([
    ['a name of 77 characters', { ['x'.repeat(77)]: 'v' }, `/${'x'.repeat(77)}`, /longer than 76/],
    ['a name with a space', { 'X A': 'v' }, '/X A', /not a header name/],
    ['a name that the service sets', { Date: 'v' }, '/Date', /cannot be set/],
    ['a value of 2001 characters', { 'X-A': 'x '.repeat(1000).concat('x') }, '/X-A', /at most 2000/],
    ['a line break', { 'X-A': ['v', 'a\nb'] }, '/X-A/1', /line breaks/],
    ['an empty value', { 'X-A': '' }, '/X-A', /empty/],
    ['a value of blanks', { 'X-A': '  ' }, '/X-A', /empty/],
    ['a word of 901 characters behind a short one', { 'X-A': `x ${'y'.repeat(901)}` }, '/X-A', /every 900/],
    ['51 of them', { 'X-A': many(30), 'X-B': many(21) }, '', /at most 50/],
  ])('are refused with %s', (_, headers, pointer, detail) => {
    const mistakes = [{ pointer, detail: expect.stringMatching(detail) }];
    expect(() => parse(headers)).toThrow(expect.objectContaining({ reason: 'invalid', mistakes }));
  });
});
