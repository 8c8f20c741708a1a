import type { Trouble } from './transport.ts';

/** The reason an abort carries when the transport is closed. */
export class TransportClosed extends Error {
  override readonly name = 'TransportClosed';
}

/** The trouble of an attempt that was stopped by its signal. */
export function cutTrouble(signal: AbortSignal): Trouble {
  return signal.reason instanceof TransportClosed
    ? {
        scope: 'connection',
        code: 'CLOSED',
        hint: 'The connections were closed on this side; the mail is tried again.',
      }
    : { scope: 'connection', code: 'ABORTED', hint: 'The time for this attempt was over, or it was stopped.' };
}
