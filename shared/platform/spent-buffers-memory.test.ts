import { constants, PerformanceObserver } from 'node:perf_hooks';
import { expect, it } from 'vitest';
import { spentBuffers } from './spent-buffers.ts';

it('has V8 collect young objects while a large mail passes, and not for a small one', async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const detail: unknown = Reflect.get(entry, 'detail');
      const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR) collections += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const pass = async (bytes: number) => {
    collections = 0;
    for (let at = 0; at < bytes; at += 64 << 10) spentBuffers(64 << 10);
    // Entries come some turns later.
    for (let n = 0; n < 10; n += 1) await new Promise((resolve) => setImmediate(resolve));
    return collections;
  };
  try {
    // V8 may collect for reasons of its own; these are sixteen calls.
    expect(await pass(1 << 20)).toBeLessThan(6);
    expect(await pass(100 << 20)).toBeGreaterThanOrEqual(50);
  } finally {
    observer.disconnect();
  }
});
