import { describe, expect, it } from 'vitest';
import { parseInput } from '../../platform/validation.ts';
import { mailboxesSchema, mailboxSchema } from './recipients.ts';

/** What is thrown for input with these mistakes. */
const refusal = (mistakes: readonly object[]) => expect.objectContaining({ reason: 'invalid', mistakes });

describe('who mail is from', () => {
  it('is one mailbox in either form', () => {
    const ann = { name: 'Ann', address: 'a@example.org' };
    expect(mailboxSchema.parse('Ann <a@example.org>')).toEqual(ann);
    expect(mailboxSchema.parse(ann)).toEqual(ann);
  });

  it.each([
    ['two', 'a@example.org, b@example.org'],
    ['a group of nobody', 'undisclosed-recipients:;'],
  ])('is not %s', (_, text) => {
    expect(() => parseInput(mailboxSchema, text)).toThrow(refusal([{ pointer: '', detail: 'must be one address' }]));
  });
});

describe('a mistake in an address', () => {
  it.each([
    ['a text', 'nobody', '', /is not an address/],
    ['a text of a list', ['a@example.org', 'b@'], '/1', /no domain/],
    ['an address by itself', { address: 'a..b@example.org' }, '/address', /before the @/],
    ['a name by itself', { name: 'a\nb', address: 'a@example.org' }, '/name', /line breaks/],
    ['an address by itself in a list', [{ name: 'x', address: 'b@-' }], '/0/address', /domain is not valid/],
  ])('is named where it is and for what it is: %s', (_, value, pointer, detail) => {
    const mistakes = [{ pointer, detail: expect.stringMatching(detail) }];
    expect(() => parseInput(mailboxesSchema, value)).toThrow(refusal(mistakes));
  });
});
