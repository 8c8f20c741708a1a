import type { ConnectionSlots } from '../../limits/connection-slots.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { sleep } from '../../platform/clock.ts';
import type { Step } from '../verify/steps.ts';
import type { Opened } from './session-pool.ts';

/** The hint of whatever had to wait for a slot. */
export const noSlotHint =
  'Other processes use all connections that limits.connections allows. It is tried again as soon as one is free.';

/** How long a verification waits for a slot: its caller waits too. */
const verifyPatienceMs = 10_000;

/** Verifies with a slot for the one connection that it has open at a time. */
export async function verifyWithSlot(
  slots: ConnectionSlots,
  signal: AbortSignal,
  verify: () => Promise<readonly Step[]>,
): Promise<readonly Step[]> {
  const until = performance.now() + verifyPatienceMs;
  for (;;) {
    const slot = await slots.acquire(signal);
    if (isAcquired(slot)) {
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

/**
 * Opens a connection only with a slot for it. The slot is held until the connection is gone; if it is lost, the
 * connection is cut.
 */
export function withSlot<S extends Connection>(
  open: (signal: AbortSignal) => Promise<Opened<S>>,
  slots: ConnectionSlots,
): (signal: AbortSignal) => Promise<Opened<S>> {
  return async (signal) => {
    const slot = await slots.acquire(signal);
    if (!isAcquired(slot)) {
      const { retryAfterMs } = slot;
      return { ok: false, trouble: { scope: 'limit', code: 'NO_CONNECTION_FREE', hint: noSlotHint, retryAfterMs } };
    }
    let opened: Opened<S>;
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
