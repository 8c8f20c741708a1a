import { expect, it } from 'vitest';
import { sentencesOf } from './store-troubles.ts';

it.each([
  ['timed out', 'Try later.', 'timed out. Try later.'],
  ['It timed out.', 'Try later.', 'It timed out. Try later.'],
  ['timed out', undefined, 'timed out'],
])('says %j and %j as sentences', (message, hint, sentences) => {
  expect(sentencesOf({ message, hint, found: undefined })).toBe(sentences);
});

it('says last what there is to choose from', () => {
  const error = { message: 'no such folder', hint: 'Correct its name.', found: 'There are: "INBOX".' };
  expect(sentencesOf(error)).toBe('no such folder. Correct its name. There are: "INBOX".');
});
