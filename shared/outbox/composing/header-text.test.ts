import { describe, expect, it } from 'vitest';
import { structuredHeader, textHeader } from './header-text.ts';

describe('textHeader', () => {
  it.each([
    ['words', 'Re: two words, and more'],
    ['a word of 60 characters', 'x'.repeat(60)],
  ])('writes %s as they are', (_, text) => {
    expect(textHeader('Subject', text)).toBe(`Subject: ${text}`);
  });

  it.each([
    ['a blank before it', ' a', '=?UTF-8?Q?_a?='],
    ['a blank behind it', 'a ', '=?UTF-8?Q?a=20?='],
    ['two blanks', 'a  b', '=?UTF-8?Q?a__b?='],
    ['letters with accents among others', 'Grüße an alle', '=?UTF-8?Q?Gr=C3=BC=C3=9Fe_an_alle?='],
    ['letters of another script', '你好世界', '=?UTF-8?B?5L2g5aW95LiW55WM?='],
  ])('encodes a text with %s, as short as it goes', (_, text, word) => {
    expect(textHeader('Subject', text)).toBe(`Subject: ${word}`);
  });

  it('leaves no line with the name alone, and no long one', () => {
    for (const text of ['x'.repeat(61), `${'x'.repeat(70)} y`, `y ${'x'.repeat(70)}`, `${'word '.repeat(40)}end`])
      for (const line of textHeader('Subject', text).split('\r\n')) {
        expect(line).not.toBe('Subject:');
        expect(line.length).toBeLessThanOrEqual(76);
      }
  });
});

describe('structuredHeader', () => {
  it('writes ASCII as it is, with one blank where there are several', () => {
    expect(structuredHeader('X-A', '<a@example.com>,   b =?x?=')).toBe('X-A: <a@example.com>, b =?x?=');
  });
});
