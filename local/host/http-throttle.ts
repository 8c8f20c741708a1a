/** host.json's `maxConcurrentRequests` and `maxOutstandingRequests`. */
export interface Throttle {
  /** Runs `work` when its turn comes; false at once when too many wait already (the caller gets 429). */
  run(work: () => Promise<void>): Promise<boolean>;
}

/** Requests beyond `concurrent` wait; those beyond `outstanding` (running and waiting together) are refused. */
export function createThrottle(concurrent: number | undefined, outstanding: number | undefined): Throttle {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    run: async (work) => {
      if (outstanding !== undefined && running + waiting.length >= outstanding) return false;
      if (concurrent !== undefined && running >= concurrent) {
        // Whoever ends hands its place on, so `running` stays as it is.
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else running += 1;
      try {
        await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else running -= 1;
      }
      return true;
    },
  };
}
