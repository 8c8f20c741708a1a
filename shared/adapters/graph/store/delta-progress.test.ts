import { expect, it } from 'vitest';
import { DeltaProgress } from './delta-progress.ts';

it('gets on while pages bring new ids, however many are empty in between', () => {
  const progress = new DeltaProgress('link 0');
  for (let page = 1; page <= 400; page += 1) {
    const ids = page % 20 === 0 ? [`id ${page}`] : [];
    expect(progress.endlessAfter(ids, `link ${page}`)).toBeUndefined();
  }
});

it('does not get on where a link leads back, or where page after page brings nothing new', () => {
  expect(new DeltaProgress('link 0').endlessAfter(['a'], 'link 0')).toMatch(/leads back/);
  const progress = new DeltaProgress(undefined);
  const reported = Array.from({ length: 60 }, (_, page) => progress.endlessAfter(['a', 'b'], `link ${page}`));
  expect(reported.slice(0, 50).every((answer) => answer === undefined)).toBe(true);
  expect(reported.some((answer) => /nothing new/.test(answer ?? ''))).toBe(true);
});

it('begins anew with a round: what it lists again is no repetition', () => {
  const progress = new DeltaProgress(undefined);
  for (let round = 0; round < 100; round += 1) {
    expect(progress.endlessAfter(['a'], undefined)).toBeUndefined();
  }
});
