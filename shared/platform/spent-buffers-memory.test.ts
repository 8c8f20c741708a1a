import { constants, PerformanceObserver } from 'node:perf_hooks';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { spentBuffers } from './spent-buffers.ts';

const detailSchema = z.object({ kind: z.number(), flags: z.number() });

it('has V8 collect young objects while a large mail passes, and not for a small one', async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      // V8 collects for reasons of its own, too: those that were asked for say so.
      const { kind, flags } = detailSchema.parse(Reflect.get(entry, 'detail'));
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR && (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) {
        collections += 1;
      }
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const pass = async (bytes: number, step = 64 << 10) => {
    collections = 0;
    for (let at = 0; at < bytes; at += step) spentBuffers(step);
    // Entries come some turns later.
    for (let n = 0; n < 10; n += 1) await new Promise((resolve) => setImmediate(resolve));
    return collections;
  };
  try {
    // It counts for the whole process: other suites of it may have left something.
    await pass(8 << 20, 8 << 20);
    expect(await pass(1 << 20)).toBe(0);
    expect(await pass(100 << 20)).toBeGreaterThanOrEqual(12);
  } finally {
    observer.disconnect();
  }
});
