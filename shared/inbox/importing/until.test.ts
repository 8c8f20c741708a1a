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

it('is left only when what it reads from has let go', async () => {
  let ended = false;
  async function* items() {
    try {
      yield 1;
    } finally {
      await new Promise((resolve) => setImmediate(resolve));
      ended = true;
    }
  }
  for await (const _ of until(new AbortController().signal, items())) break;
  expect(ended).toBe(true);
});

it('reads also from what cannot be asked to stop', async () => {
  const items: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 1 }) }),
  };
  const got: number[] = [];
  for await (const item of until(new AbortController().signal, items)) {
    got.push(item);
    break;
  }
  expect(got).toEqual([1]);
});
