import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { firstOfAll } from './first-of-all.ts';

const names = Array.from({ length: 100 }, (_, n) => `account-${n}`);
/** Keys of an account that fall among those of all others. */
const keysOf = (name: string) => [`a${name}`, `b${name}`, `c${name}`];

it('reads several at a time, but not all, and answers the first of all in order', async () => {
  let running = 0;
  let most = 0;
  const first = await firstOfAll(names, { top: 150, keyOf: (key: string) => key }, async (name) => {
    running += 1;
    most = Math.max(most, running);
    await turn();
    running -= 1;
    return keysOf(name);
  });
  expect(first).toEqual(names.flatMap(keysOf).sort().slice(0, 150));
  expect(most).toBe(16);
});

it('ends with what one of them throws', async () => {
  const read = async (name: string) => {
    if (name === 'account-40') throw new Error('away');
    return keysOf(name);
  };
  await expect(firstOfAll(names, { top: 3, keyOf: (key) => key }, read)).rejects.toThrow('away');
});
