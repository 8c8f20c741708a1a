import { expect, it } from 'vitest';
import { sentencesOf } from './store-troubles.ts';

it.each([
  ['timed out', 'Try later.', 'timed out. Try later.'],
  ['It timed out.', 'Try later.', 'It timed out. Try later.'],
  ['timed out', undefined, 'timed out'],
])('says %j and %j as sentences', (message, hint, sentences) => {
  expect(sentencesOf({ message, hint })).toBe(sentences);
});
