import { expect, it } from 'vitest';
import { BoundedTasks, mapConcurrently } from './concurrency.ts';

/** Tasks that end when the test says so, by their number. */
function heldTasks() {
  const ends = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>();
  const begun: number[] = [];
  const task = (n: number) =>
    new Promise<number>((resolve, reject) => {
      begun.push(n);
      ends.set(n, { resolve: () => resolve(n * 10), reject });
    });
  /** Ends a task, and lets everything happen that follows from it. */
  const end = async (n: number, error?: Error) => {
    if (error) ends.get(n)?.reject(error);
    else ends.get(n)?.resolve();
    await new Promise(setImmediate);
  };
  return { begun, task, end };
}

it('answers in the order of the items, and has no more under way than it may', async () => {
  const { begun, task, end } = heldTasks();
  const all = mapConcurrently([1, 2, 3, 4], 2, task);
  await new Promise(setImmediate);
  expect(begun).toEqual([1, 2]);
  await end(2);
  expect(begun).toEqual([1, 2, 3]);
  for (const n of [3, 4, 1]) await end(n);
  expect(await all).toEqual([10, 20, 30, 40]);
});

it('throws the first failure once nothing is under way any more, and begins nothing after it', async () => {
  const { begun, task, end } = heldTasks();
  let thrown: unknown;
  const all = mapConcurrently([1, 2, 3, 4, 5], 3, task).catch((error: unknown) => {
    thrown = error;
  });
  await new Promise(setImmediate);
  await end(2, new Error('first'));
  expect(thrown).toBeUndefined();
  await end(1, new Error('second'));
  expect(thrown).toBeUndefined();
  await end(3);
  await all;
  expect(thrown).toEqual(new Error('first'));
  expect(begun).toEqual([1, 2, 3]);
});

it('takes a task that throws at once, items that are undefined, and none at all', async () => {
  const throws = () => {
    throw new Error('at once');
  };
  await expect(mapConcurrently([1], 2, throws)).rejects.toThrow('at once');
  expect(await mapConcurrently([undefined, 1], 2, async (item) => item)).toEqual([undefined, 1]);
  expect(await mapConcurrently([], 2, async () => 1)).toEqual([]);
});

it('keeps the bytes of tasks under way below their limit; a larger task runs alone', async () => {
  const { begun, task, end } = heldTasks();
  const tasks = new BoundedTasks({ tasks: 8, bytes: 100 });
  await tasks.start(() => task(1), 60);
  await tasks.start(() => task(2), 40);
  const third = tasks.start(() => task(3), 1);
  await new Promise(setImmediate);
  expect(begun).toEqual([1, 2]);
  await end(2);
  await third;
  const large = tasks.start(() => task(4), 500);
  await end(3);
  expect(begun).toEqual([1, 2, 3]);
  await end(1);
  await large;
  expect(begun).toEqual([1, 2, 3, 4]);
  await end(4);
  await tasks.finish();
});

it('gives a failed task to the next one and to whoever waits for the end', async () => {
  const tasks = new BoundedTasks({ tasks: 1 });
  await tasks.start(() => Promise.reject(new Error('no')));
  let begun = false;
  const next = tasks.start(async () => {
    begun = true;
  });
  await expect(next).rejects.toThrow('no');
  await expect(tasks.finish()).rejects.toThrow('no');
  expect([tasks.failed, begun]).toEqual([true, false]);
});
