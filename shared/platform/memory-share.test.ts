import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { turns } from '../../test/support/turns.ts';
import { MemoryShare } from './memory-share.ts';

const limits = { bytes: 24 << 20, most: 2 << 20, least: 256 << 10 };
const kibibytes = ({ size }: { readonly size: number }) => size / 1024;

it('gives few users large buffers, and each of many a smaller next one', () => {
  const share = new MemoryShare(limits);
  const first = share.acquire(3);
  const sizes = [kibibytes(first)];
  for (let users = 2; users <= 40; users += 1) {
    share.acquire(3);
    sizes.push(kibibytes(first));
  }
  // Nobody waits, and nobody gets less than the least.
  expect(sizes).toEqual([
    ...Array(4).fill(2_048),
    ...Array(4).fill(1_024),
    ...Array(8).fill(512),
    ...Array(24).fill(256),
  ]);
});

it('counts buffers of users, not users', () => {
  const share = new MemoryShare(limits);
  const one = share.acquire(12);
  expect(kibibytes(one)).toBe(2_048);
  share.acquire(1);
  expect(kibibytes(one)).toBe(1_024);
});

it('gives large ones again once others have released theirs, which counts once', () => {
  const share = new MemoryShare(limits);
  const all = Array.from({ length: 9 }, () => share.acquire(3));
  const left = share.acquire(3);
  expect(kibibytes(left)).toBe(512);
  for (const one of all.slice(3)) one.release();
  expect(kibibytes(left)).toBe(2_048);
  for (const one of all.slice(3)) one.release();
  share.acquire(3);
  expect(kibibytes(left)).toBe(1_024);
});

it('gives large ones again where others were dropped and never released, as with a stream that nobody reads', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const share = new MemoryShare(limits);
  const left = share.acquire(3);
  for (let n = 0; n < 20; n += 1) share.acquire(3);
  expect(kibibytes(left)).toBe(256);
  await expect
    .poll(async () => {
      collect();
      await turns();
      return kibibytes(left);
    })
    .toBe(2_048);
});
