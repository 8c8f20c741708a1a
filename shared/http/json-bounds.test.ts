import { describe, expect, it } from 'vitest';
import { Refusal } from '../platform/refusal.ts';
import { checkJsonBounds } from './json-bounds.ts';

const bounds = { maxValues: 1000, longFields: ['content'] };

function refused(text: string | Buffer): string | undefined {
  try {
    checkJsonBounds(Buffer.from(text), bounds);
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return `${error.mistakes?.[0]?.pointer}: ${error.mistakes?.[0]?.detail}`;
  }
}

describe('checkJsonBounds', () => {
  it.each([
    '{"a":{"b":[1,-2.5e+3,true,null,"x"]},"c":"\\"a\\":","d":{"b":1}}',
    `${'['.repeat(32)}${']'.repeat(32)}`,
    JSON.stringify(Array.from({ length: 999 }, () => 1)),
    JSON.stringify({ content: 'x'.repeat(1_000_000) }),
    JSON.stringify({ text: 'ends with a backslash \\', a: [] }),
    // Not JSON: the parser says so.
    '"open',
    '{"a"',
    '}]',
    '',
  ])('takes %.60s', (text) => {
    expect(refused(text)).toBeUndefined();
  });

  it.each([
    ['48 MB of brackets', Buffer.alloc(48 << 20, '['), /nested more than 32 deep$/],
    ['objects in objects', '{"a":'.repeat(40), /^(\/a){32}: is nested/],
    ['a million {}', `{"attachments":[${'{},'.repeat(1_000_000)}{}]}`, /^\/attachments\/998: the body holds more than/],
    [
      'half a million headers',
      `{"headers":{${Array.from({ length: 500_000 }, (_, n) => `"h${n}":""`)}}}`,
      /1000 values$/,
    ],
    ['49 MB of numbers', Buffer.alloc(49 << 20, '1,'), /1000 values$/],
    [
      'an address of a megabyte',
      JSON.stringify({ to: [{ address: 'x'.repeat(1 << 20) }] }),
      /^\/to\/0\/address: is longer/,
    ],
    ['a name of a megabyte', JSON.stringify({ ['x'.repeat(1 << 20)]: 1 }), /name in it is longer/],
    ['a name twice', '{"a":1,"b":{"c":1,"c":2}}', /^\/b\/c: is there twice$/],
    ['a name twice, written differently', '{"to":1,"\\u0074o":2}', /^\/to: is there twice$/],
    ['__proto__', '{"headers":{"__proto__":"x"}}', /^\/headers\/__proto__: must not be/],
  ])('refuses %s', (_, text, expected) => {
    expect(refused(text)).toMatch(expected);
  });
});
