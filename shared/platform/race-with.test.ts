import { describe, expect, it } from 'vitest';
import { memoryInUse } from '../../test/support/memory-in-use.ts';
import { raceWith } from './race-with.ts';

const mebibyte = 1024 * 1024;

describe('raceWith', () => {
  it('answers as whichever settles first, again and again', async () => {
    const lasting = Promise.withResolvers<'over'>();
    const orOver = raceWith(lasting.promise);
    expect(await orOver(Promise.resolve(1))).toBe(1);
    await expect(orOver(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    const never = new Promise<number>(() => undefined);
    const waiting = orOver(never);
    lasting.resolve('over');
    expect(await waiting).toBe('over');
    expect(await orOver(never)).toBe('over');
    // Its failure comes when nobody waits for it any more.
    expect(await orOver(new Promise((_, reject) => setImmediate(() => reject(new Error('late')))))).toBe('over');
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('throws as the lasting one does', async () => {
    const lasting = Promise.withResolvers<never>();
    const orLost = raceWith(lasting.promise);
    const waiting = orLost(new Promise(() => undefined));
    lasting.reject(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(orLost(new Promise(() => undefined))).rejects.toThrow('gone');
  });

  it('keeps nothing of what has settled', async () => {
    const orNever = raceWith(new Promise<undefined>(() => undefined));
    const before = memoryInUse();
    for (let n = 0; n < 64; n += 1) {
      const chunk = await orNever((async () => Buffer.alloc(mebibyte))());
      expect(chunk).toHaveLength(mebibyte);
    }
    // What is not swept yet is not kept.
    await expect.poll(() => memoryInUse() - before).toBeLessThan(8 * mebibyte);
  });
});
