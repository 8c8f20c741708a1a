import { setTimeout } from 'node:timers/promises';

/** The one source of time. Reads the system's clock, so that the whole service can run under a shifted one. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** RFC 3339 in UTC with milliseconds. */
export function toIso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/**
 * Resolves after `milliseconds`. Rejects with the signal's reason as soon as it is aborted, where Node's own timer
 * rejects with an AbortError. The process stays alive meanwhile.
 */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
