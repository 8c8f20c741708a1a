/**
 * Something that a process has for a while and that others may not have meanwhile: a lease, a slot for a connection, the
 * right to send a mail, a worker, a connection. It comes from a method `acquire`, which answers what stands in the way if
 * there is none: Unavailable where all are in use. `acquire` never waits for long. Whoever has it releases it.
 */
export interface Acquired {
  /** Aborted if it is lost before it is released: what it was for must stop. Absent: it cannot be lost. */
  readonly lost?: AbortSignal;
  /** Releases it. Calling it again does nothing. */
  release(): void | Promise<void>;
}

/** None is free now. */
export interface Unavailable {
  /** When to ask again, in ms from now. */
  readonly retryAfterMs: number;
}

/**
 * Whether an answer of `acquire` is what was asked for:
 *
 *     const slot = await slots.acquire(signal);
 *     if (!isAcquired(slot)) return requeue(slot.retryAfterMs);
 *     try { … } finally { slot.release(); }
 */
export function isAcquired<A extends object>(answer: A): answer is Extract<A, Acquired> {
  return 'release' in answer;
}
