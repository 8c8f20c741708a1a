import type { Acquired, Unavailable } from '../platform/acquired.ts';

/** The right to one connection to the account's server, counted over all processes. */
export interface ConnectionSlot extends Acquired {
  /** Aborted when the lease of the slot could not be renewed in time: the connection must be cut at once. */
  readonly lost: AbortSignal;
  /** Frees the slot, once the connection is closed. Calling it again does nothing. */
  release(): void;
}

/**
 * The slots that `limits.connections` of an account gives for one server, shared by all processes. Whoever opens a
 * connection acquires a slot first, and releases it when the connection is closed.
 */
export interface ConnectionSlots {
  /** A slot; Unavailable where other processes have all of them. Never rejects, and never waits for others. */
  acquire(signal: AbortSignal): Promise<ConnectionSlot | Unavailable>;
  /**
   * True if another process waits and this one has more than its share: the caller then closes the connection that it was
   * about to keep. Each true answer counts for one connection.
   */
  shouldYield(): boolean;
  /**
   * `closeIdle` is called when others wait. It closes one idle connection, and answers whether there was one. Answers how
   * to unsubscribe.
   */
  onDemand(closeIdle: () => boolean): () => void;
}
