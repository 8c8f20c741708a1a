import { StoreError } from '../../adapters/store.ts';
import { sentencesOf } from '../../adapters/store-troubles.ts';
import { Refusal } from '../../platform/refusal.ts';
import type { LeaseView } from './turn-row.ts';
import type { SessionResult } from './with-session.ts';

/**
 * The result of a session that a caller waits for. Throws Refusal `conflict`, with the reason, where there was no
 * session.
 */
export function resultOf<T>(session: SessionResult<T>): T {
  switch (session.kind) {
    case 'done':
      return session.result;
    case 'leased':
      throw busyRefusal(session.holder);
    case 'noConnection':
      throw new Refusal(
        'conflict',
        'All connections that the account may have are in use; try again in a few seconds.',
      );
    case 'inactive':
      throw new Refusal('conflict', 'The account is disabled or has no store.');
  }
}

/** A Refusal `conflict`: somebody else works on the account. */
export function busyRefusal({ purpose }: LeaseView): Refusal {
  // Whoever was faster may have gone again before it could be asked for its name.
  const what = purpose === '' ? '' : ` (${purpose})`;
  return new Refusal('conflict', `The account is busy${what}; try again when that has ended.`);
}

/** A server's trouble as a Refusal `unavailable`, with what can be done about it; any other error as it is. */
export function storeRefusal(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  return new Refusal('unavailable', sentencesOf(error), { retryAfterMs: error.retryAfterMs, cause: error });
}
