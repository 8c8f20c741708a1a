import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Mistake, Refusal } from './refusal.ts';
import { checkFields, parseInput, peek, toPointer } from './validation.ts';

function mistakesOf(work: () => unknown): readonly Mistake[] {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'invalid') return error.mistakes ?? [];
    throw error;
  }
  throw new Error('nothing was refused');
}

const entry = z.union([z.string(), z.strictObject({ name: z.string().optional(), address: z.string() })]);
const schema = z.strictObject({
  to: z.union([entry, z.array(entry)]),
  count: z.int().min(1, 'must be at least 1').optional(),
  kind: z.enum(['a', 'b']).optional(),
  auth: z
    .discriminatedUnion('type', [z.strictObject({ type: z.literal('none') })], { error: () => 'unsupported' })
    .optional(),
});

describe('parseInput', () => {
  it('names every mistake at once, each with its pointer', () => {
    const input = {
      to: ['a', 5, { adress: 'x' }],
      count: 0,
      kind: 'c',
      auth: { type: 'ntlm' },
      'un/kn~own': 1,
      more: 2,
    };
    expect(mistakesOf(() => parseInput(schema, input))).toEqual([
      { pointer: '/to/1', detail: 'must be a string or an object' },
      { pointer: '/to/2/address', detail: 'is required' },
      { pointer: '/to/2/adress', detail: 'unknown field' },
      { pointer: '/count', detail: 'must be at least 1' },
      { pointer: '/kind', detail: 'must be "a" or "b"' },
      { pointer: '/auth/type', detail: 'unsupported' },
      { pointer: '/un~1kn~0own', detail: 'unknown field' },
      { pointer: '/more', detail: 'unknown field' },
    ]);
  });

  it.each([
    [{}, { pointer: '/to', detail: 'is required' }],
    [{ to: null }, { pointer: '/to', detail: 'must be a string or an object or a list' }],
    [
      { to: 'a', auth: {} },
      { pointer: '/auth/type', detail: 'is required' },
    ],
    [
      { to: 'a', auth: 'none' },
      { pointer: '/auth', detail: 'unsupported' },
    ],
    [
      { to: 'a', count: '1' },
      { pointer: '/count', detail: 'must be a number' },
    ],
    [[], { pointer: '', detail: 'must be an object' }],
  ])('explains %j', (input, expected) => {
    expect(mistakesOf(() => parseInput(schema, input))).toEqual([expected]);
  });

  it('puts the prefix in front', () => {
    expect(mistakesOf(() => parseInput(z.string(), 1, { prefix: ['a', 0] }))).toEqual([
      { pointer: '/a/0', detail: 'must be a string' },
    ]);
  });

  it('never repeats a value', () => {
    const reported = JSON.stringify(
      mistakesOf(() => parseInput(schema, { to: { address: 1, name: 'hunter2' }, kind: 'hunter2' })),
    );
    expect(reported).not.toContain('hunter2');
  });
});

describe('checkFields', () => {
  it('gives the fields that are right beside the mistakes in the others', () => {
    const checked = checkFields(schema, { to: 'a', count: 'x', extra: 1 });
    expect(checked.fields).toEqual({ to: 'a' });
    expect(checked.mistakes.map((mistake) => mistake.pointer)).toEqual(['/extra', '/count']);
    expect(mistakesOf(() => checked.complete([{ pointer: '/z', detail: 'own' }]))).toHaveLength(3);
  });

  it('gives the whole when there is nothing wrong', () => {
    expect(checkFields(schema, { to: 'a' }).complete()).toEqual({ to: 'a' });
    expect(
      mistakesOf(() => checkFields(schema, { to: 'a' }).complete([{ pointer: '/z', detail: 'own' }])),
    ).toHaveLength(1);
  });

  it.each([null, 5, 'x', [], undefined])('refuses %j', (input) => {
    expect(mistakesOf(() => checkFields(schema, input).complete())).toEqual([
      { pointer: '', detail: 'must be an object' },
    ]);
  });
});

describe('peek and toPointer', () => {
  it('look at own fields only', () => {
    expect(peek({ a: [{ b: 1 }] }, ['a', 0, 'b'])).toBe(1);
    expect(peek({}, ['constructor', 'name'])).toBeUndefined();
    expect(peek(JSON.parse('{"__proto__":{"x":1}}'), ['x'])).toBeUndefined();
    expect(toPointer(['x'.repeat(5000)]).length).toBeLessThan(200);
  });
});
