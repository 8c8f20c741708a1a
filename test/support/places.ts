import type { ConnectionSlot, ConnectionSlots } from '../../shared/limits/connection-slots.ts';

export interface Places {
  readonly slots: ConnectionSlots;
  free(): number;
  /** The most that were taken at a time. */
  most(): number;
  /** All that are held are lost. */
  lose(): void;
  /** Others want so many of those that are held. */
  want(count: number): void;
}

/** So many places for connections, whose fate is in the test's hands. */
export function placesOf(count: number): Places {
  const held = new Map<ConnectionSlot, AbortController>();
  const giveUps = new Set<() => boolean>();
  let most = 0;
  let wanted = 0;
  return {
    free: () => count - held.size,
    most: () => most,
    lose() {
      for (const lost of [...held.values()]) lost.abort(new Error('lost'));
      held.clear();
    },
    want(number) {
      wanted = number;
      for (const giveUp of giveUps) while (wanted > 0 && giveUp()) wanted -= 1;
    },
    slots: {
      async acquire() {
        if (held.size >= count) return { retryAfterMs: 3_000 };
        const lost = new AbortController();
        const slot: ConnectionSlot = { lost: lost.signal, release: () => held.delete(slot) };
        held.set(slot, lost);
        most = Math.max(most, held.size);
        return slot;
      },
      shouldYield() {
        if (wanted === 0) return false;
        wanted -= 1;
        return true;
      },
      onDemand(giveUp) {
        giveUps.add(giveUp);
        return () => giveUps.delete(giveUp);
      },
    },
  };
}
