import { expect, it } from 'vitest';
import { until } from './until.ts';

it('hands on what comes before the limit, and leaves what does not come', async () => {
  const limit = new AbortController();
  let ended = false;
  const never = new Promise<number>(() => undefined);
  async function* items() {
    try {
      yield 1;
      yield 2;
      yield await never;
    } finally {
      ended = true;
    }
  }
  const got: number[] = [];
  for await (const item of until(limit.signal, items())) {
    got.push(item);
    if (item === 2) setImmediate(() => limit.abort());
  }
  expect(got).toEqual([1, 2]);
  expect(ended).toBe(false);
});

it('ends what it reads from when its reader leaves or it has ended, and passes on a failure', async () => {
  const { signal } = new AbortController();
  let ended = 0;
  async function* items(fails: boolean) {
    try {
      yield 1;
      if (fails) throw new Error('lost');
      yield 2;
    } finally {
      ended += 1;
    }
  }
  for await (const _ of until(signal, items(false))) break;
  expect(ended).toBe(1);
  const all: number[] = [];
  for await (const item of until(signal, items(false))) all.push(item);
  expect(all).toEqual([1, 2]);
  const failing = async () => {
    for await (const _ of until(signal, items(true)));
  };
  await expect(failing()).rejects.toThrow('lost');
  expect(ended).toBe(3);
});
