import { ledgerKeyBehind, prefixes } from '../keys.ts';
import { maxAttempts, type PendingMail } from '../ledger/pending.ts';
import { completeSubstitute } from './complete-substitute.ts';
import { giveUp } from './give-up.ts';
import { PageImport } from './page.ts';
import type { RoundContext } from './round-context.ts';

/** Ledger keys of pending mails. */
export function pendingLedgerKeys(pending: readonly PendingMail[]): ReadonlySet<string> {
  return new Set(pending.map(({ key }) => ledgerKeyBehind(key, prefixes.pending)));
}

/**
 * Tries pending mails again that are due, each alone; what has failed too often is quarantined. `first`: before and between
 * the folders, a share of the time each. `last`: those that took longer than that, when nothing else waits.
 */
export async function retryIndividually(
  round: RoundContext,
  all: readonly PendingMail[],
  turn: 'first' | 'last',
): Promise<void> {
  const { context, time, failures, pipeline } = round;
  const { clock } = context.inbox;
  const due = all
    .filter(({ nextTryAt, cause }) => nextTryAt <= clock.now() && (cause.kind === 'slow') === (turn === 'last'))
    .sort((a, b) => a.attempts + a.troubles - (b.attempts + b.troubles));
  for (const pending of due) {
    if (!time.mayBegin()) {
      break;
    }
    const { mail, attempts } = pending;
    if (failures.has(mail.folder)) {
      continue;
    }
    const limitMs = turn === 'first' ? time.aloneMs() : time.lastMs();
    const retry = { pending, turn, limitMs };
    await failures.attempt(mail.folder, async () => {
      if (pending.cause.kind === 'substitute') {
        await pipeline.next(await completeSubstitute(round, pending));
        return;
      }
      if (attempts >= maxAttempts) {
        const limit = AbortSignal.timeout(Math.ceil(limitMs));
        await pipeline.next(await giveUp(round, retry, { limit }));
        return;
      }
      const options = { pendingKeys: new Set<string>(), checkpoint: () => [], retry };
      await pipeline.next(await new PageImport(round, [mail], options).run());
    });
  }
}
