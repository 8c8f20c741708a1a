/**
 * The longest single wait. Short, so that a clock that jumps (a laptop that slept, a shifted clock) is noticed within
 * a second; it also keeps clear of the 2^31 ms a Node.js timer takes at most.
 */
const MAX_STEP = 1_000;

/** Resolves true once the system's clock shows `time` (milliseconds since the epoch), false when aborted before. */
export function waitUntil(time: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const finish = (result: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const onAbort = () => finish(false);
    const check = () => {
      const left = time - Date.now();
      if (left <= 0) finish(true);
      else timer = setTimeout(check, Math.min(left, MAX_STEP));
    };
    if (signal.aborted) return resolve(false);
    signal.addEventListener('abort', onAbort, { once: true });
    check();
  });
}
