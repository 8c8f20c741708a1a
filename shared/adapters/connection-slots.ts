import { sleep } from '../platform/clock.ts';
import type { Step } from './verify/steps.ts';

/** A place for one connection to the account's server, counted over all processes. */
export interface ConnectionSlot {
  /** Aborted when the place can no longer be held for certain: the connection must be cut at once. */
  readonly lost: AbortSignal;
  /** Gives the place back, once the connection is gone. Calling it again does nothing. */
  release(): void;
}

/** Every place is taken by other processes. */
export interface NoSlot {
  /** A good time to ask again, in ms. */
  readonly retryAfterMs: number;
}

/**
 * The places that `limits.connections` of an account gives for one server, shared by all processes. Whoever opens a
 * connection asks first, and gives the place back when the connection is closed.
 */
export interface ConnectionSlots {
  /** Never rejects and never waits for others: whoever gets none comes again later, and its place is kept for it. */
  acquire(signal: AbortSignal): Promise<ConnectionSlot | NoSlot>;
  /**
   * True where another process waits and this one has more than its share: the caller then closes the connection that it
   * was about to keep. Each true answer counts for one connection.
   */
  giveWay(): boolean;
  /** `giveUp` is called when others wait; it ends one idle connection and says whether there was one. Answers how to unsubscribe. */
  onWanted(giveUp: () => boolean): () => void;
}

export function isSlot(got: ConnectionSlot | NoSlot): got is ConnectionSlot {
  return 'release' in got;
}

/** The hint of whatever had to wait for a place. */
export const noSlotHint =
  'Other processes use all connections that limits.connections allows. It is tried again as soon as one is free.';

/** How long a verification waits for a place: its caller waits too. */
const verifyPatienceMs = 10_000;

/** Verifies with a place for the one connection that it has open at a time. */
export async function verifyWithSlot(
  slots: ConnectionSlots,
  signal: AbortSignal,
  verify: () => Promise<readonly Step[]>,
): Promise<readonly Step[]> {
  const until = performance.now() + verifyPatienceMs;
  for (;;) {
    const slot = await slots.acquire(signal);
    if (isSlot(slot)) {
      try {
        return await verify();
      } finally {
        slot.release();
      }
    }
    if (signal.aborted || performance.now() + slot.retryAfterMs > until) {
      return [
        { step: 'connect', status: 'unknown', ms: verifyPatienceMs, code: 'NO_CONNECTION_FREE', hint: noSlotHint },
      ];
    }
    await sleep(slot.retryAfterMs, signal).catch(() => undefined);
  }
}

interface Connection {
  /** Calls `ended` once, when the connection is gone. */
  onEnd(ended: () => void): unknown;
  /** Destroys the connection at once. */
  cut(): void;
}

type Opened<S, T> = { readonly ok: true; readonly session: S } | { readonly ok: false; readonly trouble: T };

/** The trouble of a mail for which no place was free: nothing was tried (see `TroubleScope`). */
export interface NoSlotTrouble {
  readonly scope: 'limit';
  readonly code: string;
  readonly hint: string;
  readonly retryAfterMs: number;
}

/** Opens a connection only with a place for it. The place is held until the connection is gone, and cuts it when lost. */
export function withSlot<S extends Connection, T>(
  open: (signal: AbortSignal) => Promise<Opened<S, T>>,
  slots: ConnectionSlots,
): (signal: AbortSignal) => Promise<Opened<S, T | NoSlotTrouble>> {
  return async (signal) => {
    const slot = await slots.acquire(signal);
    if (!isSlot(slot)) {
      const { retryAfterMs } = slot;
      return { ok: false, trouble: { scope: 'limit', code: 'NO_CONNECTION_FREE', hint: noSlotHint, retryAfterMs } };
    }
    let opened: Opened<S, T>;
    try {
      opened = await open(AbortSignal.any([signal, slot.lost]));
    } catch (error) {
      slot.release();
      throw error;
    }
    if (!opened.ok) {
      slot.release();
      return opened;
    }
    const { session } = opened;
    const cut = () => session.cut();
    slot.lost.addEventListener('abort', cut, { once: true });
    session.onEnd(() => {
      slot.lost.removeEventListener('abort', cut);
      slot.release();
    });
    if (slot.lost.aborted) cut();
    return opened;
  };
}
