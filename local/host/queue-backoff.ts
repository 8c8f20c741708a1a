/** Waits between polls of an empty queue, growing at random from `minimum` to `maximum` milliseconds. */
export interface Backoff {
  /** Waits the next delay, or less when woken or aborted. */
  wait(signal: AbortSignal): Promise<void>;
  /** Something was found: the next wait is the shortest again. */
  reset(): void;
  /** Ends the wait under way, or the next one before it begins. */
  wake(): void;
}

/** 2^20 times the minimum is beyond any maximum. */
const MAX_EXPONENT = 20;

/** The WebJobs SDK's RandomizedExponentialBackoffStrategy. */
export function createBackoff(minimum: number, maximum: number): Backoff {
  let empty = 0;
  let woken = false;
  let wakeUp: (() => void) | undefined;

  function next(): number {
    const random = 0.8 + Math.random() * 0.4;
    const delay = minimum + random * minimum * (2 ** Math.min(empty, MAX_EXPONENT) - 1);
    empty += 1;
    return Math.min(maximum, delay);
  }

  return {
    wait: async (signal) => {
      if (woken || signal.aborted) {
        woken = false;
        empty = 0;
        return;
      }
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          wakeUp = undefined;
          resolve();
        };
        const timer = setTimeout(end, next());
        signal.addEventListener('abort', end, { once: true });
        wakeUp = () => {
          empty = 0;
          end();
        };
      });
    },
    reset: () => {
      empty = 0;
      woken = false;
    },
    wake: () => {
      if (wakeUp) wakeUp();
      else woken = true;
    },
  };
}
