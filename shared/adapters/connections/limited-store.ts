import type { ConnectionSlot, ConnectionSlots } from '../../limits/connection-slots.ts';
import { isAcquired } from '../../platform/acquired.ts';
import type { ChangesOptions, Checkpoint, Disposal, DisposalTarget, DisposeOptions, FetchOptions } from '../store.ts';
import { type ListedMail, type MailStore, StoreError, type StoreSession } from '../store.ts';
import { abortedError } from '../store-troubles.ts';
import { noSlotHint, verifyWithSlot } from './connection-slots.ts';

/**
 * A store whose sessions open their connections only with slots for them, and release these when they are closed. A
 * slot that is lost cuts the session. `open` throws StoreError `noConnection` where no slot is free.
 */
export function limitedStore(store: MailStore, slots: ConnectionSlots): MailStore {
  return {
    ...store,
    verify: (options) => verifyWithSlot(slots, options.signal, () => store.verify(options)),
    async open({ signal, admitted }) {
      const held = await takeSlots(store, slots, signal);
      const release = () => {
        for (const slot of held) slot.release();
      };
      const lost = AbortSignal.any(held.map((slot) => slot.lost));
      try {
        await admitted;
        const either = AbortSignal.any([signal, lost]);
        const session = await store.open({ signal: either, cut: lost, connections: held.length });
        return new LimitedSession(session, release);
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

/** One slot, and others beside it as far as they are free. */
async function takeSlots(store: MailStore, slots: ConnectionSlots, signal: AbortSignal): Promise<ConnectionSlot[]> {
  // Asked for together, they cost one write.
  const asked = await Promise.all(Array.from({ length: store.connections ?? 1 }, () => slots.acquire(signal)));
  const held = asked.filter(isAcquired);
  if (held.length > 0) return held;
  if (signal.aborted) throw abortedError(signal);
  const retryAfterMs = Math.min(...asked.map((none) => ('retryAfterMs' in none ? none.retryAfterMs : 0)));
  throw new StoreError('noConnection', 'no connection is free', {
    code: 'NO_CONNECTION_FREE',
    hint: noSlotHint,
    retryAfterMs,
  });
}

class LimitedSession implements StoreSession {
  readonly #session: StoreSession;
  readonly #release: () => void;
  /** There where the protocol has it. */
  readonly receivedTimes?: NonNullable<StoreSession['receivedTimes']>;
  readonly vanished?: NonNullable<StoreSession['vanished']>;
  readonly end?: NonNullable<StoreSession['end']>;

  constructor(session: StoreSession, release: () => void) {
    this.#session = session;
    this.#release = release;
    if (session.receivedTimes) this.receivedTimes = session.receivedTimes.bind(session);
    if (session.vanished) this.vanished = session.vanished.bind(session);
    if (session.end) this.end = session.end.bind(session);
  }

  scope(folder: string, signal: AbortSignal, checkpoint?: Checkpoint) {
    return this.#session.scope(folder, signal, checkpoint);
  }

  folders(selected: readonly string[], signal: AbortSignal) {
    return this.#session.folders(selected, signal);
  }

  stillListed(mails: readonly ListedMail[], signal: AbortSignal) {
    return this.#session.stillListed(mails, signal);
  }

  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions) {
    return this.#session.changes(folder, checkpoint, options);
  }

  list(folder: string, options: ChangesOptions) {
    return this.#session.list(folder, options);
  }

  fetch(mails: readonly ListedMail[], options: FetchOptions) {
    return this.#session.fetch(mails, options);
  }

  dispose(targets: readonly DisposalTarget[], disposal: Disposal, options: DisposeOptions) {
    return this.#session.dispose(targets, disposal, options);
  }

  async close(): Promise<void> {
    await this.#session.close();
    this.#release();
  }
}
