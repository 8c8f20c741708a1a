import { constants, PerformanceObserver } from 'node:perf_hooks';
import { z } from 'zod';
import { turns } from './turns.ts';

const detailSchema = z.object({ kind: z.number(), flags: z.number() });

/** Collections that were asked for meanwhile; V8 collects for reasons of its own, too. */
export async function collections(
  during: () => Promise<unknown>,
): Promise<{ readonly young: number; readonly all: number }> {
  const counted = { young: 0, all: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind, flags } = detailSchema.parse(Reflect.get(entry, 'detail'));
      if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0) continue;
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR) counted.young += 1;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) counted.all += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  try {
    await during();
    // Entries come some turns later.
    await turns(10);
  } finally {
    observer.disconnect();
  }
  return counted;
}
