import { type ListedMail, StoreError } from '../../adapters/store.ts';
import { accountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { assetLocalId } from '../keys.ts';
import { removeFailed } from '../ledger/leftovers.ts';
import { interruptRows } from '../ledger/pages-in-progress.ts';
import { maxAttempts, type PendingMail, type PendingState, pendingRow } from '../ledger/pending.ts';
import { type Quarantined, quarantine } from './quarantine-mail.ts';
import type { RoundContext } from './round-context.ts';

/** The retry of one pending mail. */
export interface Retry {
  readonly pending: PendingMail;
  /** `first`: while others wait, for a share of the run's time. `last`: when none does, for what is left of it. */
  readonly turn: 'first' | 'last';
  readonly limitMs: number;
}

/**
 * Why a mail of a page was not checked in. `failed`: by its own fault; `bytes`: so many came, and they are in doubt.
 * `reread`: it only has to be fetched once more. `refused`: the server does not give it, though it gives others;
 * `passing`: it says, or its answers show, that this may pass. `setAside`: the page's time was over.
 */
export type Unfinished =
  | { readonly kind: 'failed'; readonly mail: ListedMail; readonly reason: string; readonly bytes?: number }
  | { readonly kind: 'reread'; readonly mail: ListedMail }
  | { readonly kind: 'refused'; readonly mail: ListedMail; readonly reason: string; readonly passing: boolean }
  | { readonly kind: 'setAside'; readonly mail: ListedMail };

/** Times that a refusal which may pass is waited for; from then on it counts as an attempt. */
const maxPassing = 10;

/** The page that the mails belong to. */
export interface UnfinishedOptions {
  /** Key of the page's row. */
  readonly inProgress: string;
  readonly retry?: Retry;
}

/** Pending rows for the mails that were not checked in, and those to be given up. */
export async function unfinishedRows(
  round: RoundContext,
  unfinished: readonly Unfinished[],
  { inProgress, retry }: UnfinishedOptions,
): Promise<{ readonly pending: readonly RowWrite[]; readonly quarantined: readonly Quarantined[] }> {
  const { context } = round;
  const pending: RowWrite[] = [];
  const quarantined: Quarantined[] = [];
  for (const one of unfinished) {
    const { mail } = one;
    const state = stateAfter(round, one, retry);
    const { attempts, reason } = state;
    if (one.kind !== 'reread') {
      const asset = accountId(context.account, assetLocalId(context.account, mail.source));
      log.warn('inbox.mailFailed', { asset, attempts, reason, why: one.kind });
    }
    await removeFailed(context, mail, inProgress);
    if (attempts >= maxAttempts && one.kind !== 'setAside') {
      quarantined.push(await quarantine(context, mail, { reason, attempts, inProgress }));
      continue;
    }
    pending.push(pendingRow(mail, state));
    context.counts.pending += one.kind === 'reread' ? 0 : 1;
  }
  return { pending, quarantined };
}

function stateAfter({ context, time }: RoundContext, one: Unfinished, retry: Retry | undefined): PendingState {
  const now = context.inbox.clock.now();
  const { attempts = 0, troubles = 0 } = retry?.pending ?? {};
  switch (one.kind) {
    case 'failed':
      return {
        attempts: attempts + 1,
        reason: one.reason,
        now,
        ...(one.bytes === undefined ? {} : { cause: { kind: 'doubt', bytes: one.bytes } }),
      };
    case 'reread':
      return { attempts, reason: 'To be fetched again', now, cause: { kind: 'reread' } };
    case 'refused': {
      const counts = !one.passing || troubles >= maxPassing;
      return { attempts: counts ? attempts + 1 : attempts, troubles: troubles + 1, reason: one.reason, now };
    }
    case 'setAside':
      if (retry === undefined) {
        // Of several nobody can say which took so long: each is tried alone.
        return { attempts, reason: 'There was no time for the mail', now };
      }
      if (retry.turn === 'first') {
        return { attempts, troubles, reason: slowReason, now, cause: { kind: 'slow' } };
      }
      return {
        attempts: time.isFair(retry.limitMs) ? attempts + 1 : attempts,
        troubles: troubles + 1,
        reason: slowReason,
        now,
        cause: { kind: 'slow' },
      };
  }
}

const slowReason = 'The mail takes longer than a run has time';

/**
 * The server went away, or the time was over, while mails were fetched. That is nobody's attempt; but should one mail be
 * what breaks the line every time, it must not stop the others: each is fetched alone next time, and one that is alone
 * already waits a while.
 */
export async function retryEachAlone(
  { context }: Pick<RoundContext, 'context'>,
  mails: readonly ListedMail[],
  error: unknown,
  { inProgress, retry }: UnfinishedOptions,
): Promise<void> {
  if (!(error instanceof StoreError) && !context.signal.aborted) {
    return;
  }
  const now = context.inbox.clock.now();
  const pending = retry?.pending;
  // Of a mail that is given up, what it failed with is what counts.
  const reason = pending && pending.attempts >= maxAttempts ? pending.reason : errorText(error);
  const state: PendingState = pending
    ? { attempts: pending.attempts, troubles: pending.troubles + 1, cause: pending.cause, reason, now }
    : { attempts: 0, reason, now };
  const rows = mails.map((mail) => pendingRow(mail, state));
  await context.inbox.rows
    .write(context.account, [...rows, ...interruptRows(context, inProgress, mails)])
    .catch((failure: unknown) => {
      // Storage is away as well, and the next run finds the row of the page in progress; or another run has ended the page.
      log.warn('inbox.retryNotNoted', { error: errorText(failure) });
    });
}
