import { describe, expect, it } from 'vitest';
import { parseInput } from '../../platform/validation.ts';
import { messageIdSchema, messageIdsSchema, normaliseMessageId } from './message-ids.ts';

describe('normaliseMessageId', () => {
  it('takes 900 characters with the brackets, and not one more', () => {
    const inner = (length: number) => 'x'.repeat(length);
    expect(normaliseMessageId(`<${inner(898)}>`)).toBe(`<${inner(898)}>`);
    expect(normaliseMessageId(inner(898))).toBe(`<${inner(898)}>`);
    for (const long of [`<${inner(899)}>`, inner(899), inner(900)]) expect(normaliseMessageId(long)).toBeUndefined();
  });
});

describe('the Message-IDs of a request', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `<${index}@example.com>`);

  it.each([
    ['blanks around them', ' <a@example.com>\t<b@example.com> '],
    ['several blanks between them', '<a@example.com> \t <b@example.com>'],
    ['no brackets', 'a@example.com b@example.com'],
  ])('are read with %s', (_, text) => {
    expect(messageIdsSchema.parse(text)).toEqual(['<a@example.com>', '<b@example.com>']);
  });

  it('may be 200', () => {
    expect(messageIdsSchema.parse(many(200).join(' '))).toEqual(many(200));
    expect(messageIdsSchema.parse(many(200))).toEqual(many(200));
  });

  it.each([
    ['one that has a space', messageIdSchema, 'a b', /must be a Message-ID/],
    ['a broken one among several', messageIdsSchema, '<a@example.com> <b', /must be a Message-ID/],
    ['a line break', messageIdsSchema, '<a@example.com>\n<b@example.com>', /must be a Message-ID/],
    ['201 as a text', messageIdsSchema, many(201).join(' '), /at most 200/],
    ['201 as a list', messageIdsSchema, many(201), /at most 200/],
  ])('are not %s, and the caller hears why', (_, schema, value, detail) => {
    const mistakes = [{ pointer: '', detail: expect.stringMatching(detail) }];
    expect(() => parseInput(schema, value)).toThrow(expect.objectContaining({ reason: 'invalid', mistakes }));
  });
});
