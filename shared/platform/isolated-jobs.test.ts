import { expect, it } from 'vitest';
import { forEachAccount, runIsolated } from './isolated-jobs.ts';

it('a failure of one account does not stop the others', async () => {
  const seen: string[] = [];
  const work = async (account: string) => {
    seen.push(account);
    if (account === 'b') throw new Error('broken');
  };
  const options = { signal: new AbortController().signal, task: 'cleaning' };
  await expect(forEachAccount(['a', 'b', 'c'], work, options)).rejects.toThrow('cleaning failed for 1 of 3 accounts');
  expect(seen).toEqual(['a', 'b', 'c']);
  await forEachAccount(['a', 'c'], work, options);
  const stop = AbortSignal.abort(new Error('time is over'));
  await expect(forEachAccount(['b', 'c'], work, { signal: stop, task: 'cleaning' })).rejects.toThrow('time is over');
  expect(seen).toEqual(['a', 'b', 'c', 'a', 'c']);
});

it('a job that fails, or throws before it begins, does not stop the others', async () => {
  const done: string[] = [];
  const jobs = {
    first: () => {
      throw new Error('at once');
    },
    second: async () => done.push('second'),
    third: async () => Promise.reject(new Error('later')),
    fourth: async () => done.push('fourth'),
  };
  await expect(runIsolated(jobs)).rejects.toThrow('Failed: first, third');
  expect(done).toEqual(['second', 'fourth']);
});
